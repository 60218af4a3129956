#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/softmax.cuh>

namespace apprentice {
namespace {

using kernels::Softmax;
using kernels::SoftmaxBackward;

constexpr double kUnit = 0x1p-24;
/// Logits are -8 to 8 in steps of 1 / 8, so that differences are exact and at most kRange.
constexpr double kRange = 16;

std::vector<float> logits(int64_t rows, int64_t n, unsigned seed) {
  auto x = testing::random_integers<float>(size_t(rows * n), -64, 64, seed);
  for (float& v : x) v /= 8;
  return x;
}

/// The error of log p over kUnit: 1 / temperature and the product round z, at most kRange; the sum
/// has that relative error and 2 units of exp; its logarithm, at most log n, is rounded by up to 2
/// units, and the difference of both once; the CPU's result is rounded once.
double log_error(int64_t n) {
  const double largest = kRange + std::log(double(n));
  return kUnit * (2 * kRange + (2 * kRange + 4) + 4 * std::log(double(n)) + 2 * largest);
}

struct Problem {
  int64_t rows, n;
};
/// Both teams (rows of 256 or less are of a warp), their tails, and more rows than one block has.
const Problem kProblems[] = {{1, 1},   {9, 10},  {8, 31},  {3, 33},   {2, 255},
                             {1, 256}, {2, 257}, {3, 511}, {1, 1000}, {0, 5}};

template <class Check>
void compare(const std::vector<float>& got, const std::vector<float>& expected, Check bound) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(double(got[i]) - double(expected[i])) <= bound(i)))
      FAIL("element " << i << ": got " << got[i] << ", expected " << expected[i]);
}

}  // namespace

KERNEL_TEST_CASE("softmax and its logarithm are those of the CPU") {
  for (const auto& [rows, n] : kProblems)
    for (const double temperature : {1.0, 3.0})
      for (const bool logarithm : {false, true}) {
        const auto x = logits(rows, n, 1);
        std::vector<float> expected(x.size());
        Softmax<float>::Args args{
            {x.data(), {rows, n}}, {expected.data(), {rows, n}}, temperature, logarithm};
        kernels::launch<Softmax<float>>(args);
        const auto dx = simt::Buffer<float>::from(x);
        const simt::Buffer<float> dy(x.size());
        args.x.data = dx.data(), args.y.data = dy.data();
        kernels::SIMT_NS::softmax(args, nullptr);
        CAPTURE(rows, n, temperature, logarithm);
        compare(dy.values(), expected, [&](size_t i) {
          // p has log p's error, relatively, and exp's two units; the CPU's is rounded once.
          return logarithm ? log_error(n) : double(expected[i]) * (log_error(n) + 5 * kUnit);
        });
        args.y.data = dx.data();
        kernels::SIMT_NS::softmax(args, nullptr);
        CHECK(dx.values() == dy.values());
      }
}

KERNEL_TEST_CASE("a logit of minus infinity has no share of the softmax") {
  const auto none = -std::numeric_limits<float>::infinity();
  const auto x = simt::Buffer<float>::from(std::vector<float>{none, 2, none, 2});
  const simt::Buffer<float> y(4);
  kernels::SIMT_NS::softmax({{x.data(), {1, 4}}, {y.data(), {1, 4}}}, nullptr);
  CHECK(y.values() == std::vector<float>{0, 0.5f, 0, 0.5f});
}

KERNEL_TEST_CASE("the gradient of a softmax is that of the CPU") {
  for (const auto& [rows, n] : kProblems)
    for (const bool logarithm : {false, true}) {
      const double temperature = 3;
      const auto x = logits(rows, n, 2);
      const auto grad_y = logits(rows, n, 3);
      std::vector<float> y(x.size()), expected(x.size());
      kernels::launch<Softmax<float>>(
          {{x.data(), {rows, n}}, {y.data(), {rows, n}}, temperature, logarithm});
      SoftmaxBackward<float>::Args args{{y.data(), {rows, n}},
                                        {grad_y.data(), {rows, n}},
                                        {expected.data(), {rows, n}},
                                        temperature,
                                        logarithm};
      kernels::launch<SoftmaxBackward<float>>(args);
      const auto dy = simt::Buffer<float>::from(y), dgrad_y = simt::Buffer<float>::from(grad_y);
      const simt::Buffer<float> dgrad_x(x.size());
      args.y.data = dy.data(), args.grad_y.data = dgrad_y.data(), args.grad_x.data = dgrad_x.data();
      kernels::SIMT_NS::softmax_backward(args, nullptr);
      CAPTURE(rows, n, logarithm);
      compare(dgrad_x.values(), expected, [&](size_t i) {
        // The sum is at most 8 n (logarithm) or 8 and rounded once, exp by 2 units, then one for
        // each of product, difference and factor (two); the CPU's result is rounded once.
        const double p = logarithm ? std::exp(double(y[i])) : double(y[i]);
        const double sum = logarithm ? 8.0 * double(n) : 8.0;
        return 9 * kUnit * ((logarithm ? 1 : p) * std::abs(double(grad_y[i])) + p * sum);
      });
      args.grad_x.data = dgrad_y.data();
      kernels::SIMT_NS::softmax_backward(args, nullptr);
      CHECK(dgrad_y.values() == dgrad_x.values());
    }
}

}  // namespace apprentice
