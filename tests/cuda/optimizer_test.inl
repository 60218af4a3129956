#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/optimizer.cuh>

namespace apprentice {
namespace {

using kernels::AdamStep;
using kernels::SgdStep;
using testing::Both;

constexpr int64_t kChunk = kernels::SIMT_NS::kListChunk;

std::vector<float> random_values(int64_t n, unsigned seed) {
  auto v = testing::random_integers<float>(static_cast<size_t>(n), 1, 999, seed);
  for (float& x : v) x /= 700;
  return v;
}

/// Arrays that are cut into the same tensors, the first of which begins at element `first`.
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

/// Sizes around a chunk, and more tensors than one launch of the emulator takes.
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
                               nullptr);
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
    kernels::SIMT_NS::adam_step(args, nullptr);
  }
  CHECK(first.got() == first.host);
  CHECK(second.got() == second.host);
  CHECK(param.got() == param.host);
}

}  // namespace apprentice
