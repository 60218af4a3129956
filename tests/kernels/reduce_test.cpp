#include <apprentice/kernels/reduce.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::kEpsilon;
using test::Outputs;
using test::Random;

TEST_CASE("every reduce kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 40u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t outer = random.pick({0, 1, 3}), axis = random.pick({1, 2, 33, 4000}),
                inner = random.pick({1, 2, 16, 33});
  const auto kind = ReduceKind(random.below(3));
  const auto x = random.uniform<3>({outer, axis, inner});
  // Sums in double: only the last rounding shows, and sums are at most `axis`.
  const double bound = kEpsilon * double(axis);
  test::agree<Reduce<float>>([&](Outputs& out) {
    return Reduce<float>::Args{x, out.view<2>({outer, inner}, bound), kind};
  });
}

TEST_CASE("sums along a long row are those of the reference in every chunk") {
  Random random(3);
  const auto x = random.integers<3>({2, 5, 9000}, -5, 5);
  test::agree<Reduce<float>>([&](Outputs& out) {
    return Reduce<float>::Args{x, out.view<2>({2, 9000}, 0), ReduceKind::sum};
  });
}

TEST_CASE(
    "argmax gives the first of equal largest elements, and the first NaN before all numbers") {
  load_dense_units();
  const float x[] = {1, 5, 5, 2, NAN, 9, NAN, 3, -1, -1, -1, -1};
  std::vector<int64_t> at(3);
  launch<ArgMax<float>>({{x, {3, 4, 1}}, {at.data(), {3, 1}}});
  CHECK(at == std::vector<int64_t>{1, 0, 0});
  float top[3];
  launch<Reduce<float>>({{x, {3, 4, 1}}, {top, {3, 1}}, ReduceKind::max});
  CHECK(top[0] == 5);
  CHECK(std::isnan(top[1]));
  CHECK(top[2] == -1);
}
