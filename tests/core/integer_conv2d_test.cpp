#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/core/integer_conv2d.h>

using namespace apprentice;

namespace {

Tensor random_codes(const Shape& shape, int64_t low, int64_t high, uint64_t seed) {
  Rng rng(seed, RngPurpose::test);
  Tensor codes = Tensor::empty(shape);
  float* at = codes.data<float>();
  for (int64_t i = 0; i < codes.numel(); ++i)
    at[i] = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return codes;
}

}  // namespace

TEST_CASE("integer_conv2d equals conv2d where f32 is exact") {
  const int64_t max_weight = GENERATE(1, 7), groups = GENERATE(1, 2);
  const Tensor x = random_codes({2, 7, 6, 4}, 0, 255, 1);
  const Tensor w = random_codes({6, 3, 3, 4 / groups}, -max_weight, max_weight, 2);
  const Conv2dOptions options{.stride = {2, 1}, .padding = {1, 0}, .groups = groups};
  const Tensor y = integer_conv2d(x, 255, w, max_weight, options);
  const Tensor expected = conv2d(x, w, {}, options);
  CHECK(y.shape() == expected.shape());
  CHECK(y.to_vector<float>() == expected.to_vector<float>());
}

TEST_CASE("integer_conv2d is exact, then rounded once, where f32 sums lose bits") {
  const int64_t c = 1200;  // sums of 9 c products of 255 and 7: 19,278,000
  Tensor x = Tensor::full({1, 3, 3, c}, 255), w = Tensor::full({2, 3, 3, c}, 7);
  w.data<float>()[9 * c] = -6;  // the second channel's sum is odd, so between two f32
  const Tensor y = integer_conv2d(x, 255, w, 7);
  const int64_t first = 9 * c * 255 * 7, second = first - 13 * 255;
  REQUIRE((second > int64_t(1) << 24 && second % 2 == 1));
  CHECK(y.to_vector<float>() == std::vector<float>{float(first), float(second)});
}

TEST_CASE("integer_conv2d refuses larger codes, sums beyond s32 and shapes that do not fit") {
  const Tensor x = Tensor::zeros({1, 3, 3, 2}), w = Tensor::zeros({1, 3, 3, 2});
  CHECK_THROWS_AS(integer_conv2d(x, 256, w, 1), ConfigError);
  CHECK_THROWS_AS(integer_conv2d(x, 255, w, 8), ConfigError);
  CHECK_THROWS_AS(integer_conv2d(Tensor::zeros({1, 2, 3, 2}), 255, w, 1), ShapeError);
  CHECK_THROWS_AS(integer_conv2d(Tensor::zeros({1, 3, 3, 4}), 255, w, 1), ShapeError);
  const int64_t wide = 140000;
  CHECK_THROWS_WITH(
      integer_conv2d(Tensor::zeros({1, 3, 3, wide}), 255, Tensor::zeros({1, 3, 3, wide}), 7),
      Catch::Matchers::Contains("s32"));
}
