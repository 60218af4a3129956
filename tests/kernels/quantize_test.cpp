#include <apprentice/kernels/quantize.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

TEST_CASE("every quantize_uniform kernel gives the reference's codes") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.pick({0, 1, 15, 16, 17, 1000, 40000});
  const float step = random.flip() ? 0.5f : 0.0371f, top = float(random.pick({1, 7, 15, 255}));
  const float low = random.flip() ? 0.0f : -top;
  const auto x = random.uniform<1>({n}, -1.5f * top * step, 1.5f * top * step);
  test::agree<QuantizeUniform<float>>([&](Outputs& out) {
    return QuantizeUniform<float>::Args{x, out.view<1>({n}, 0), 1 / step, low, top};
  });
}

TEST_CASE("quantize_uniform rounds half to even, clamps, and makes NaN the lowest code") {
  const auto family = GENERATE("reference", "simd");
  CAPTURE(family);
  const float x[] = {0.5f, 1.5f, 2.5f, -0.5f, -3.0f, 254.5f, 255.5f, 1e30f, -1e30f, NAN, INFINITY};
  const std::vector<float> expected{0, 2, 2, 0, 0, 254, 255, 255, 0, 0, 255};
  std::vector<float> codes(expected.size());
  const QuantizeUniform<float>::Args args{{x, {11}}, {codes.data(), {11}}, 1, 0, 255};
  kernel_table<QuantizeUniform<float>>().select(args, {family, true}).run(args, {});
  CHECK(codes == expected);
}

TEST_CASE("every quantize_uniform_backward kernel lets pass what lies in the closed range") {
  const auto seed = GENERATE(range(0u, 10u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.pick({0, 1, 17, 40001});
  const auto x = random.integers<1>({n}, -3, 9), grad = random.uniform<1>({n});
  test::agree<QuantizeUniformBackward<float>>([&](Outputs& out) {
    return QuantizeUniformBackward<float>::Args{x, grad, out.view<1>({n}, 0), 0, 6, 0.3f};
  });
  const float edges[] = {-0.1f, 0, 6, 6.1f}, ones[] = {1, 1, 1, 1};
  std::vector<float> grad_x(4);
  launch<QuantizeUniformBackward<float>>(
      {{edges, {4}}, {ones, {4}}, {grad_x.data(), {4}}, 0, 6, 2});
  CHECK(grad_x == std::vector<float>{0, 2, 2, 0});
}

TEST_CASE("ternarize takes weights at the threshold for zero and averages each side") {
  load_dense_units();
  const float w[] = {0.5f, -0.5f, 1, -2, 0.75f, 0, 0.1f, -0.1f, 0.1f, 0, 0, 0};
  const float threshold[] = {0.5f, 0.2f};
  std::vector<float> codes(12), positive(2), negative(2), nonzero(2);
  launch<Ternarize<float>>({{w, {2, 6}},
                            {threshold, {2}},
                            {codes.data(), {2, 6}},
                            {positive.data(), {2}},
                            {negative.data(), {2}},
                            {nonzero.data(), {2}}});
  CHECK(codes == std::vector<float>{0, 0, 1, -1, 1, 0, 0, 0, 0, 0, 0, 0});
  CHECK(positive == std::vector<float>{0.875f, 0});
  CHECK(negative == std::vector<float>{2, 0});
  CHECK(nonzero == std::vector<float>{1.25f, 0});
}

TEST_CASE("abs_statistics gives mean and largest absolute value of each row") {
  const float x[] = {1, -3, 0, 2, -0.5f, 0.5f, 0, 0};
  std::vector<float> mean(2), max(2);
  launch<AbsStatistics<float>>({{x, {2, 4}}, {mean.data(), {2}}, {max.data(), {2}}});
  CHECK(mean == std::vector<float>{1.5f, 0.25f});
  CHECK(max == std::vector<float>{3, 0.5f});
}

TEST_CASE("trained_ternary_backward has the minus of the negative scale, and 1 in the zero band") {
  const float codes[] = {1, -1, 0, 1}, grad[] = {2, 3, 5, 7}, positive[] = {0.5f}, negative[] = {4};
  std::vector<float> grad_w(4), grad_positive(1), grad_negative(1);
  launch<TrainedTernaryBackward<float>>({{codes, {1, 4}},
                                         {grad, {1, 4}},
                                         {positive, {1}},
                                         {negative, {1}},
                                         {grad_w.data(), {1, 4}},
                                         {grad_positive.data(), {1}},
                                         {grad_negative.data(), {1}}});
  CHECK(grad_w == std::vector<float>{1, 12, 5, 3.5f});
  CHECK(grad_positive[0] == 9);
  CHECK(grad_negative[0] == -3);
}
