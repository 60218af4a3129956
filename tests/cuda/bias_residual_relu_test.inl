#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>
#include <apprentice/kernels/cuda/bias_residual_relu.cuh>

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
  int64_t m, c, at, residual_at;  ///< elements in front, for another alignment
  bool bias, residual, relu;
};

template <class Y>
using Launcher = void(const typename kernels::BiasResidualRelu<float, Y>::Args&, simt::Stream);

/// N neighbours a thread on two blocks, which go round from 512 N elements on.
template <int N, class Y>
void on_two_blocks(const typename kernels::BiasResidualRelu<float, Y>::Args& a,
                   simt::Stream stream) {
  using namespace kernels::SIMT_NS;
  simt::launch(bias_residual_relu_kernel<N, Y>, 2, kMapThreads, 0, stream, a);
}

template <class Y>
void check_case(const Case& given, Launcher<Y>* run = kernels::SIMT_NS::bias_residual_relu<Y>) {
  const int64_t n = given.m * given.c;
  testing::Both<Y> y(numbers<Y>(n + given.at, 1)), residual(numbers<Y>(n + given.residual_at, 2));
  testing::Both<float> bias(numbers<float>(given.c, 3));
  using Args = typename kernels::BiasResidualRelu<float, Y>::Args;
  const auto args = [&](Y* to, const float* b, const Y* r) {
    Args a;
    a.y = {to + given.at, {given.m, given.c}};
    if (given.bias) a.bias = {b, {given.c}};
    if (given.residual) a.residual = {r + given.residual_at, {given.m, given.c}};
    a.relu = given.relu;
    return a;
  };
  const std::array<int64_t, 1> all{1};
  kernels::launch<kernels::BiasResidualRelu<float, Y>>(
      args(y.host.data(), bias.host.data(), residual.host.data()));
  run(args(y.on_device(all).data, bias.on_device(all).data, residual.on_device(all).data), nullptr);
  const std::vector<Y> got = y.got();
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    REQUIRE(float(got[i]) == float(y.host[i]));
  }
}

}  // namespace

KERNEL_TEST_CASE("bias, residual and ReLU give the reference's bits, for any part of them") {
  const auto given =
      GENERATE(Case{1, 1, 0, 0, true, true, true}, Case{3, 5, 0, 0, true, true, true},
               Case{7, 12, 0, 0, true, true, false}, Case{7, 12, 1, 0, true, true, true},
               Case{7, 12, 0, 1, true, true, true}, Case{7, 12, 1, 1, true, true, true},
               Case{130, 20, 0, 0, true, false, true}, Case{130, 20, 0, 0, false, true, true},
               Case{0, 4, 0, 0, true, false, false}, Case{5, 4, 0, 0, false, false, true});
  CAPTURE(given.m, given.c, given.at, given.residual_at, given.bias, given.residual, given.relu);
  check_case<float>(given);
  check_case<Bf16>(given);
}

KERNEL_TEST_CASE("a grid that is too small for all rows finds later columns by adding") {
  // 2048 and 512 elements a round are no whole rows.
  const Case fours{350, 20, 0, 0, true, true, true}, ones{90, 21, 0, 0, true, true, true};
  check_case<float>(fours, on_two_blocks<4, float>);
  check_case<Bf16>(fours, on_two_blocks<4, Bf16>);
  check_case<float>(ones, on_two_blocks<1, float>);
  check_case<Bf16>(ones, on_two_blocks<1, Bf16>);
}

}  // namespace apprentice
