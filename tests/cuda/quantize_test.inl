#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/quantize.cuh>

namespace apprentice {
namespace {

using testing::Both;
using Values = std::vector<float>;

/// n values of [-2, 2] in steps of 1/64, so that codes meet ties and both ends of their range.
Values values(int64_t n, unsigned seed) {
  Values v = testing::random_integers<float>(static_cast<size_t>(n), -128, 128, seed);
  for (float& x : v) x /= 64;
  return v;
}
Values zeros(int64_t n) { return Values(static_cast<size_t>(n)); }

/// Sums in double of at most 10^4 numbers, folded in another order, rounded to f32 once.
void check_close(const Values& got, const Values& expected) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(std::abs(got[i] - expected[i]) <= 0x1p-23f * std::abs(expected[i]));
  }
}

}  // namespace

KERNEL_TEST_CASE("uniform codes are those of the CPU, bit for bit") {
  const int64_t n = GENERATE(1, 255, 257, 3001);
  Values input = values(n, 1);
  input[0] = std::numeric_limits<float>::quiet_NaN();
  Both<float> x(input), codes(zeros(n));
  for (const auto& [low, high] : {std::pair{0.0f, 15.0f}, {-8.0f, 7.0f}}) {
    CAPTURE(n, low);
    const std::array<int64_t, 1> sizes{n};
    kernels::launch<kernels::QuantizeUniform<float>>(
        {x.on_host(sizes), codes.on_host(sizes), 8.5f, low, high});
    kernels::SIMT_NS::quantize_uniform(
        {x.on_device(sizes), codes.on_device(sizes), 8.5f, low, high}, nullptr);
    CHECK(codes.got() == codes.host);
  }
}

KERNEL_TEST_CASE("the gradient of uniform codes passes exactly inside the range") {
  const int64_t n = GENERATE(1, 255, 257, 3001);
  Both<float> x(values(n, 1)), g(values(n, 2)), grad_x(zeros(n));
  const std::array<int64_t, 1> sizes{n};
  kernels::launch<kernels::QuantizeUniformBackward<float>>(
      {x.on_host(sizes), g.on_host(sizes), grad_x.on_host(sizes), -0.5f, 1.0f, 3.0f});
  kernels::SIMT_NS::quantize_uniform_backward(
      {x.on_device(sizes), g.on_device(sizes), grad_x.on_device(sizes), -0.5f, 1.0f, 3.0f},
      nullptr);
  CHECK(grad_x.got() == grad_x.host);
}

KERNEL_TEST_CASE("row statistics and ternary codes are those of the CPU") {
  const int64_t rows = GENERATE(1, 5), k = GENERATE(1, 255, 257, 1153);
  CAPTURE(rows, k);
  const std::array<int64_t, 2> sizes{rows, k};
  const std::array<int64_t, 1> row{rows};
  Both<float> w(values(rows * k, 3)), mean(zeros(rows)), max(zeros(rows)), codes(zeros(rows * k));
  Both<float> positive(zeros(rows)), negative(zeros(rows)), nonzero(zeros(rows));
  kernels::launch<kernels::AbsStatistics<float>>(
      {w.on_host(sizes), mean.on_host(row), max.on_host(row)});
  kernels::SIMT_NS::abs_statistics({w.on_device(sizes), mean.on_device(row), max.on_device(row)},
                                   nullptr);
  check_close(mean.got(), mean.host);
  CHECK(max.got() == max.host);

  Both<float> threshold(Values(static_cast<size_t>(rows), 0.75f));
  kernels::launch<kernels::Ternarize<float>>({w.on_host(sizes), threshold.on_host(row),
                                              codes.on_host(sizes), positive.on_host(row),
                                              negative.on_host(row), nonzero.on_host(row)});
  kernels::SIMT_NS::ternarize(
      {w.on_device(sizes), threshold.on_device(row), codes.on_device(sizes),
       positive.on_device(row), negative.on_device(row), nonzero.on_device(row)},
      nullptr);
  CHECK(codes.got() == codes.host);
  check_close(positive.got(), positive.host);
  check_close(negative.got(), negative.host);
  check_close(nonzero.got(), nonzero.host);
}

KERNEL_TEST_CASE("gradients of trained ternary weights are those of the CPU") {
  const int64_t rows = GENERATE(1, 5), k = GENERATE(1, 255, 257, 1153);
  CAPTURE(rows, k);
  const std::array<int64_t, 2> sizes{rows, k};
  const std::array<int64_t, 1> row{rows};
  Both<float> codes(testing::random_integers<float>(static_cast<size_t>(rows * k), -1, 1, 4));
  Both<float> g(values(rows * k, 5)), grad_w(zeros(rows * k));
  Both<float> up(values(rows, 6)), down(values(rows, 7)), grad_up(zeros(rows)),
      grad_down(zeros(rows));
  kernels::launch<kernels::TrainedTernaryBackward<float>>(
      {codes.on_host(sizes), g.on_host(sizes), up.on_host(row), down.on_host(row),
       grad_w.on_host(sizes), grad_up.on_host(row), grad_down.on_host(row)});
  kernels::SIMT_NS::trained_ternary_backward(
      {codes.on_device(sizes), g.on_device(sizes), up.on_device(row), down.on_device(row),
       grad_w.on_device(sizes), grad_up.on_device(row), grad_down.on_device(row)},
      nullptr);
  CHECK(grad_w.got() == grad_w.host);
  // These sums may cancel; of multiples of 1/64 below 2^53 they are exact in any order.
  CHECK(grad_up.got() == grad_up.host);
  CHECK(grad_down.got() == grad_down.host);
}

}  // namespace apprentice
