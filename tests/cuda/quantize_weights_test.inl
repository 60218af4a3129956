#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <cuda/recorded_launches.h>
#include <apprentice/kernels/cuda/quantize_weights.cuh>

namespace apprentice {
namespace {

using kernels::QuantizeWeights;
using testing::Both;
using Rule = QuantizeWeights::Rule;

constexpr int64_t kPart = kernels::SIMT_NS::kWeightPart;

struct Layer {
  int64_t rows, k;
  Rule rule;
  double factor;
};

int64_t elements_of(const std::vector<Layer>& layers) {
  int64_t n = 0;
  for (const Layer& layer : layers) n += layer.rows * layer.k;
  return n;
}
int64_t rows_of(const std::vector<Layer>& layers) {
  int64_t n = 0;
  for (const Layer& layer : layers) n += layer.rows;
  return n;
}
std::vector<float> weights_of(const std::vector<Layer>& layers, unsigned seed) {
  const auto n = static_cast<size_t>(elements_of(layers));
  auto v = testing::random_integers<float>(n, -999, 999, seed);
  for (float& x : v) x /= 700;
  return v;
}

/// All that the weights of some layers take, one after the other.
struct Layers {
  std::vector<Layer> layers;
  Both<float> w, codes, scales;
  Both<int64_t> counts;

  Layers(std::vector<Layer> all, const std::vector<float>& w_, const std::vector<float>& codes_)
      : layers(std::move(all)),
        w(w_),
        codes(codes_),
        scales(std::vector<float>(static_cast<size_t>(rows_of(layers)), -1)),
        counts(std::vector<int64_t>(3 * layers.size(), 10)) {}

  /// The list for memory that begins there; every third layer asks for no
  /// counts.
  std::vector<QuantizeWeights::Weight> list(const float* from, float* to, float* scale,
                                            int64_t* count) const {
    std::vector<QuantizeWeights::Weight> all;
    for (size_t i = 0; i < layers.size(); ++i) {
      const auto [rows, k, rule, factor] = layers[i];
      all.push_back({{from, {rows, k}}, {to, {rows, k}}, rule, factor, {scale, {rows}}});
      if (i % 3 != 2) all.back().zeros = {count + 3 * i, {1}};
      if (i % 3 != 2) all.back().flips = {count + 3 * i + 1, {2}};
      from += rows * k, to += rows * k, scale += rows;
    }
    return all;
  }
  void quantize() {
    const std::array<int64_t, 1> any{1};
    const auto here =
        list(w.host.data(), codes.host.data(), scales.host.data(), counts.host.data());
    const auto there = list(w.on_device(any).data, codes.on_device(any).data,
                            scales.on_device(any).data, counts.on_device(any).data);
    kernels::launch<QuantizeWeights>({here});
    const auto scratch =
        simt::Buffer<std::byte>(kernels::SIMT_NS::quantize_weights_scratch_bytes({there}) + 1);
    kernels::SIMT_NS::quantize_weights({there}, scratch.data(), nullptr);
  }
  void check_equal() const {
    CHECK(codes.got() == codes.host);
    CHECK(scales.got() == scales.host);
    CHECK(counts.got() == counts.host);
  }
};

}  // namespace

KERNEL_TEST_CASE("codes, scales and counts of many weights are those of the CPU, bit for bit") {
  // Rows of one part, cut ones, both; with more weights than one launch of the
  // emulator takes.
  std::vector<Layer> layers = GENERATE(
      std::vector<Layer>{
          {1, 1, Rule::mean, 0.7}, {5, 31, Rule::mean, 0.7}, {3, 9, Rule::max, 0.05}},
      std::vector<Layer>{{1, kPart - 1, Rule::mean, 0.7},
                         {1, kPart, Rule::max, 0.05},
                         {2, kPart + 1, Rule::mean, 0.7},
                         {1, 2 * kPart + 3, Rule::max, 0.5},
                         {1, kPart + 7, Rule::uniform, 7},
                         {4, 300, Rule::mean, 0.7}});
  layers.resize(20, {2, 13, Rule::uniform, 1});
  const std::vector<float> w = weights_of(layers, 1);
  Layers problem(layers, w, std::vector<float>(w.size()));
  problem.quantize();
  problem.check_equal();
  CHECK(problem.counts.host[0] + problem.counts.host[1] > 20);
  // A second step changes some codes.
  std::vector<float> next = weights_of(layers, 2);
  for (size_t i = 0; i < next.size(); ++i) next[i] = i % 4 ? w[i] : next[i];
  Layers moved(layers, next, problem.codes.host);
  moved.quantize();
  moved.check_equal();
}

KERNEL_TEST_CASE("a row of zeros has codes 0 and scale 1, and no rows are no work") {
  for (const Rule rule : {Rule::mean, Rule::max}) {
    const std::vector<Layer> layers{{2, 40, rule, 0.7}, {1, kPart + 1, rule, 0.7}, {0, 4, rule, 1}};
    const std::vector<float> zeros(static_cast<size_t>(elements_of(layers)));
    Layers problem(layers, zeros, zeros);
    problem.quantize();
    problem.check_equal();
    CHECK(problem.scales.got() == std::vector<float>{1, 1, 1});
  }
}

#if defined(SIMT_EMULATED)
TEST_CASE("weights are quantized in one launch, and in two where a row is cut") {
  const auto launches_of = [](const std::vector<Layer>& layers) {
    std::vector<float> memory(static_cast<size_t>(elements_of(layers)));
    const Layers problem(layers, memory, memory);
    const auto list = problem.list(memory.data(), memory.data(), nullptr, nullptr);
    std::vector<std::byte> scratch(1 << 10);
    return testing::recorded_launches([&](simt::Stream stream) {
      kernels::SIMT_NS::quantize_weights({list}, scratch.data(), stream);
    });
  };
  CHECK(launches_of({{3, kPart, Rule::mean, 0.7}, {1, 2 * kPart, Rule::uniform, 7}}) == 1);
  CHECK(launches_of({{3, 40, Rule::mean, 0.7}, {2, kPart + 1, Rule::max, 0.05}}) == 2);
}
#endif

}  // namespace apprentice
