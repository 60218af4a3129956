#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>
#include <apprentice/kernels/cuda/bias_relu.cuh>

namespace apprentice {
namespace {

template <class Y>
std::vector<Y> numbers(int64_t n, unsigned seed) {
  std::vector<Y> values;
  for (const int v : testing::random_integers<int>(static_cast<size_t>(n), -9999, 9999, seed))
    values.push_back(Y(float(v) / 3333.0f));
  return values;
}

struct Case {
  int64_t m, c, at;  ///< elements in front of y and residual, for another alignment
  bool bias, residual, relu;
};

template <class Y>
void check_case(const Case& given) {
  const int64_t n = given.m * given.c;
  testing::Both<Y> y(numbers<Y>(n + given.at, 1)), residual(numbers<Y>(n + given.at, 2));
  testing::Both<float> bias(numbers<float>(given.c, 3));
  using Args = typename kernels::BiasRelu<float, Y>::Args;
  const auto args = [&](Y* to, const float* b, const Y* r) {
    Args a;
    a.y = {to + given.at, {given.m, given.c}};
    if (given.bias) a.bias = {b, {given.c}};
    if (given.residual) a.residual = {r + given.at, {given.m, given.c}};
    a.relu = given.relu;
    return a;
  };
  const std::array<int64_t, 1> all{1};
  kernels::launch<kernels::BiasRelu<float, Y>>(
      args(y.host.data(), bias.host.data(), residual.host.data()));
  kernels::SIMT_NS::bias_relu<Y>(
      args(y.on_device(all).data, bias.on_device(all).data, residual.on_device(all).data), nullptr);
  const std::vector<Y> got = y.got();
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    REQUIRE(float(got[i]) == float(y.host[i]));
  }
}

}  // namespace

KERNEL_TEST_CASE("bias, residual and ReLU give the reference's bits, for any part of them") {
  const auto given =
      GENERATE(Case{1, 1, 0, true, true, true}, Case{3, 5, 0, true, true, true},
               Case{7, 12, 0, true, true, false}, Case{7, 12, 1, true, true, true},
               Case{130, 20, 0, true, false, true}, Case{130, 20, 0, false, true, true},
               // More than a grid takes at once: later columns are found by adding.
               Case{25750, 21, 0, true, false, true}, Case{0, 4, 0, true, false, false},
               Case{5, 4, 0, false, false, true});
  CAPTURE(given.m, given.c, given.at, given.bias, given.residual, given.relu);
  check_case<float>(given);
  check_case<Bf16>(given);
}

}  // namespace apprentice
