#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <cuda/recorded_launches.h>
#include <apprentice/kernels/cuda/optimizer.cuh>

namespace apprentice {
namespace {

using kernels::AdamStep;
using kernels::QuantizeWeights;
using kernels::SgdStep;
using testing::Both;
using Rule = QuantizeWeights::Rule;

constexpr int64_t kChunk = kernels::SIMT_NS::kListChunk;
constexpr int64_t kPart = kernels::SIMT_NS::kWeightPart;

std::vector<float> random_values(int64_t n, unsigned seed) {
  auto v = testing::random_integers<float>(static_cast<size_t>(n), 1, 999, seed);
  for (float& x : v) x /= 700;
  return v;
}

/// Arrays that are cut into the same tensors, the first of which begins at
/// element `first`.
class Cut {
 public:
  Cut(std::vector<int64_t> sizes, int64_t first) : sizes_(std::move(sizes)) {
    for (const int64_t size : sizes_) begins_.push_back(first), first += size;
    total_ = first;
  }
  size_t size() const { return sizes_.size(); }
  int64_t total() const { return total_; }
  View1<float> of(float* data, size_t i) const { return {data + begins_[i], {sizes_[i]}}; }

 private:
  std::vector<int64_t> sizes_, begins_;
  int64_t total_;
};

/// Sizes around a chunk, and more tensors than one launch of the emulator
/// takes.
Cut many_tensors() {
  std::vector<int64_t> sizes{1, kChunk - 1, kChunk, 0, kChunk + 1, 2 * kChunk + 3};
  sizes.resize(50, 5);
  return {sizes, GENERATE(0, 1)};  // aligned, and not
}

/// The parameters of a step; every third has no velocity, and rules alternate.
std::vector<SgdStep<float>::Parameter> sgd_list(const Cut& cut, float* param, float* grad,
                                                float* velocity) {
  std::vector<SgdStep<float>::Parameter> list;
  for (size_t i = 0; i < cut.size(); ++i) {
    list.push_back({cut.of(param, i), cut.of(grad, i), {}, i % 2 ? 1 / 3.0 : 1, i % 2 ? 0 : 1e-3f});
    if (i % 3) list.back().velocity = cut.of(velocity, i);
  }
  return list;
}

std::vector<AdamStep<float>::Parameter> adam_list(const Cut& cut, float* param, float* grad,
                                                  float* first, float* second) {
  std::vector<AdamStep<float>::Parameter> list;
  for (size_t i = 0; i < cut.size(); ++i)
    list.push_back({cut.of(param, i), cut.of(grad, i), cut.of(first, i), cut.of(second, i),
                    i % 2 ? 1 / 3.0 : 1, i % 2 ? 0.1 : 0});
  return list;
}

/// A parameter [rows, k] that a step moves, and quantizes where there is a
/// factor.
struct Layer {
  int64_t rows, k;
  Rule rule = Rule::mean;
  double factor = 0;

  int64_t numel() const { return rows * k; }
};

/// Rows of one part and around a part, and plain parameters; more than one
/// launch of the emulator takes.
std::vector<Layer> quantized_layers() {
  std::vector<Layer> layers = GENERATE(std::vector<Layer>{{1, 1, Rule::mean, 0.7},
                                                          {1, kChunk + 1},
                                                          {5, 31, Rule::mean, 0.7},
                                                          {3, 9, Rule::max, 0.05}},
                                       std::vector<Layer>{{1, kPart - 1, Rule::mean, 0.7},
                                                          {1, 3},
                                                          {1, kPart, Rule::max, 0.05},
                                                          {2, kPart + 1, Rule::mean, 0.7},
                                                          {1, 2 * kPart + 3, Rule::max, 0.5},
                                                          {1, kPart + 7, Rule::uniform, 7}});
  layers.resize(20, {2, 13, Rule::uniform, 1});
  return layers;
}

template <class Of>
int64_t sum_over(const std::vector<Layer>& layers, const Of& of) {
  int64_t sum = 0;
  for (const Layer& layer : layers) sum += of(layer);
  return sum;
}

/// All that steps of some layers work on, one layer after the other; every
/// third asks for no counts.
struct Moved {
  struct Memory {
    float *param, *grad, *first, *second, *codes, *scale;
    int64_t* counts;
  };
  std::vector<Layer> layers;
  int64_t total = sum_over(layers, [](const Layer& layer) { return layer.numel(); });
  Both<float> param{random_values(total, 1)}, grad{random_values(total, 2)};
  Both<float> first{random_values(total, 3)}, second{random_values(total, 4)};
  Both<float> codes{std::vector<float>(size_t(total), -1)};
  Both<float> scales{
      std::vector<float>(size_t(sum_over(layers, [](const Layer& l) { return l.rows; })), -1)};
  Both<int64_t> counts{std::vector<int64_t>(3 * layers.size(), 10)};

  Memory on_host() {
    return {param.host.data(), grad.host.data(),   first.host.data(), second.host.data(),
            codes.host.data(), scales.host.data(), counts.host.data()};
  }
  Memory on_device() const {
    const std::array<int64_t, 1> any{1};
    return {param.on_device(any).data,  grad.on_device(any).data,  first.on_device(any).data,
            second.on_device(any).data, codes.on_device(any).data, scales.on_device(any).data,
            counts.on_device(any).data};
  }
  std::vector<QuantizeWeights::Weight> weights(Memory m) const {
    std::vector<QuantizeWeights::Weight> all;
    for (size_t i = 0; i < layers.size(); ++i) {
      const auto [rows, k, rule, factor] = layers[i];
      all.push_back({{m.param, {rows, k}}, {m.codes, {rows, k}}, rule, factor, {m.scale, {rows}}});
      if (i % 3 != 2) all.back().zeros = {m.counts + 3 * i, {1}};
      if (i % 3 != 2) all.back().flips = {m.counts + 3 * i + 1, {2}};
      m.param += rows * k, m.codes += rows * k, m.scale += rows;
    }
    return all;
  }
  /// fill(parameter, layer's memory, elements) of each layer.
  template <class Step, class Fill>
  std::vector<typename Step::Parameter> list(Memory m,
                                             const std::vector<QuantizeWeights::Weight>& weights,
                                             const Fill& fill) const {
    std::vector<typename Step::Parameter> all;
    for (size_t i = 0; i < layers.size(); ++i) {
      const int64_t n = layers[i].numel();
      auto& p = all.emplace_back();
      p.param = {m.param, {n}}, p.grad = {m.grad, {n}};
      p.weight_decay = 1e-3f;
      if (i % 2) p.bound = 0.75f;
      if (layers[i].factor != 0) p.codes = &weights[i];
      fill(p, m, n);
      m.param += n, m.grad += n, m.first += n, m.second += n;
    }
    return all;
  }
  void check_equal() const {
    CHECK(param.got() == param.host);
    CHECK(first.got() == first.host);
    CHECK(second.got() == second.host);
    CHECK(codes.got() == codes.host);
    CHECK(scales.got() == scales.host);
    CHECK(counts.got() == counts.host);
  }
};

template <class Step>
simt::Buffer<std::byte> scratch_for(const typename Step::Args& args) {
  return simt::Buffer<std::byte>(kernels::SIMT_NS::step_scratch_bytes<Step>(args) + 1);
}

}  // namespace

KERNEL_TEST_CASE("two steps of SGD for many tensors are those of the CPU, bit for bit") {
  const Cut cut = many_tensors();
  const bool nesterov = GENERATE(false, true);
  const std::array<int64_t, 1> all{cut.total()}, one{1};
  Both<float> param(random_values(cut.total(), 1)), grad(random_values(cut.total(), 2));
  Both<float> velocity(random_values(cut.total(), 3));
  Both<double> rates({0.1, 0.03});
  Both<int64_t> skip({0, 1});
  const auto here = sgd_list(cut, param.host.data(), grad.host.data(), velocity.host.data());
  const auto there = sgd_list(cut, param.on_device(all).data, grad.on_device(all).data,
                              velocity.on_device(all).data);
  for (size_t step = 0; step < 3; ++step) {
    const size_t rate = step % 2, stop = step / 2;  // the third does nothing
    kernels::launch<SgdStep<float>>(
        {here, {&rates.host[rate], {1}}, 0.9f, nesterov, {&skip.host[stop], {1}}});
    kernels::SIMT_NS::sgd_step({there,
                                {rates.on_device(one).data + rate, {1}},
                                0.9f,
                                nesterov,
                                {skip.on_device(one).data + stop, {1}}},
                               nullptr, nullptr);
  }
  CHECK(param.got() == param.host);
  CHECK(velocity.got() == velocity.host);
}

KERNEL_TEST_CASE("two steps of Adam for many tensors are those of the CPU, bit for bit") {
  const Cut cut = many_tensors();
  const std::array<int64_t, 1> all{cut.total()}, three{3}, one{1};
  Both<float> param(random_values(cut.total(), 1)), grad(random_values(cut.total(), 2));
  Both<float> first(random_values(cut.total(), 3)), second(random_values(cut.total(), 4));
  Both<int64_t> skip({0, 1});
  const auto here =
      adam_list(cut, param.host.data(), grad.host.data(), first.host.data(), second.host.data());
  const auto there = adam_list(cut, param.on_device(all).data, grad.on_device(all).data,
                               first.on_device(all).data, second.on_device(all).data);
  for (int64_t step = 1; step <= 3; ++step) {
    const auto now = kernels::adam_numbers(0.01, 0.9, 0.999, step);
    Both<double> numbers({now.begin(), now.end()});
    const size_t stop = step == 3;
    AdamStep<float>::Args args{here, numbers.on_host(three)};
    args.decoupled = step == 2;
    args.skip = {&skip.host[stop], {1}};
    kernels::kernel_table<AdamStep<float>>().select(args).run(args, {});
    args.parameters = there;
    args.numbers = numbers.on_device(three);
    args.skip = {skip.on_device(one).data + stop, {1}};
    kernels::SIMT_NS::adam_step(args, nullptr, nullptr);
  }
  CHECK(first.got() == first.host);
  CHECK(second.got() == second.host);
  CHECK(param.got() == param.host);
}

KERNEL_TEST_CASE("SGD that quantizes as it goes gives the CPU's weights, codes and counts") {
  Moved all{quantized_layers()};
  const std::array<int64_t, 1> one{1};
  Both<double> rate({0.1});
  Both<int64_t> skip({0, 1});
  const auto fill = [](auto& p, const Moved::Memory& m, int64_t n) { p.velocity = {m.first, {n}}; };
  const auto weights_here = all.weights(all.on_host()), weights = all.weights(all.on_device());
  const auto here = all.list<SgdStep<float>>(all.on_host(), weights_here, fill);
  const auto there = all.list<SgdStep<float>>(all.on_device(), weights, fill);
  for (size_t step = 0; step < 3; ++step) {  // the third moves nothing, and quantizes
    const size_t stop = step / 2;
    kernels::launch<SgdStep<float>>(
        {here, {rate.host.data(), {1}}, 0.9f, true, {&skip.host[stop], {1}}});
    const SgdStep<float>::Args args{
        there, rate.on_device(one), 0.9f, true, {skip.on_device(one).data + stop, {1}}};
    kernels::SIMT_NS::sgd_step(args, scratch_for<SgdStep<float>>(args).data(), nullptr);
  }
  all.check_equal();
}

KERNEL_TEST_CASE("Adam that quantizes as it goes gives the CPU's weights, codes and counts") {
  Moved all{{{5, 31, Rule::mean, 0.7}, {1, kPart + 5, Rule::max, 0.05}, {2, 40, Rule::uniform, 7}}};
  const auto fill = [](auto& p, const Moved::Memory& m, int64_t n) {
    p.first = {m.first, {n}}, p.second = {m.second, {n}};
  };
  const auto numbers = kernels::adam_numbers(0.1, 0.9, 0.999, 3);
  Both<double> now({numbers.begin(), numbers.end()});
  const std::array<int64_t, 1> three{3};
  const auto weights_here = all.weights(all.on_host()), weights = all.weights(all.on_device());
  const auto here = all.list<AdamStep<float>>(all.on_host(), weights_here, fill);
  const auto there = all.list<AdamStep<float>>(all.on_device(), weights, fill);
  kernels::launch<AdamStep<float>>({here, now.on_host(three)});
  const AdamStep<float>::Args args{there, now.on_device(three)};
  kernels::SIMT_NS::adam_step(args, scratch_for<AdamStep<float>>(args).data(), nullptr);
  all.check_equal();
}

#if defined(SIMT_EMULATED)
TEST_CASE("a step that quantizes is one launch, and two where a row is cut") {
  const auto launches_of = [](std::vector<Layer> layers) {
    const Moved all{std::move(layers)};
    const auto weights = all.weights(all.on_device());
    const auto list = all.list<SgdStep<float>>(all.on_device(), weights, [](auto&&...) {});
    std::vector<std::byte> scratch(1 << 10);
    return testing::recorded_launches([&](simt::Stream stream) {
      kernels::SIMT_NS::sgd_step({list, {}}, scratch.data(), stream);
    });
  };
  CHECK(launches_of({{1, kPart + 1}, {2, kPart, Rule::mean, 0.7}, {1, 9, Rule::max, 0.05}}) == 1);
  CHECK(launches_of({{1, 3 * kPart, Rule::uniform, 7}}) == 1);
  CHECK(launches_of({{1, kPart + 1, Rule::max, 0.05}, {4, kPart + 1, Rule::mean, 0.7}}) == 2);
}
#endif

}  // namespace apprentice
