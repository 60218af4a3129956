#include <catch2/catch.hpp>

#include <array>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/integer_conv2d.h>
#include <apprentice/kernels/lowbit_conv2d.h>

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

TEST_CASE("conv2d of codes by integer kernels has the bits of the one in f32, gradients too") {
  const int64_t max_weight = GENERATE(1, 7), stride = GENERATE(1, 2), in = GENERATE(3, 16, 32);
  const int64_t max_x = GENERATE(63, 255);
  CAPTURE(max_weight, stride, in, max_x);
  const auto run = [&](const Conv2dCodes& codes) {
    Tensor x = random_codes({3, 9, 8, in}, 0, max_x, 3).set_requires_grad();
    Tensor w = random_codes({20, 3, 3, in}, -max_weight, max_weight, 4).set_requires_grad();
    const Tensor y =
        conv2d(x, w, {}, {.stride = {stride, stride}, .padding = {1, 1}, .codes = codes});
    Rng rng(5, RngPurpose::test);
    y.backward(Tensor::normal(y.shape(), 0, 1, rng));
    return std::array{y.to_vector<float>(), x.grad().to_vector<float>(),
                      w.grad().to_vector<float>()};
  };
  const auto integer = run({max_x, max_weight}), real = run({});
  CHECK(bool(integer[0] == real[0]));
  CHECK(bool(integer[1] == real[1]));
  CHECK(bool(integer[2] == real[2]));
}

TEST_CASE("conv2d of codes is exact, then rounded once, where f32 sums lose bits") {
  const Conv2dOptions options{.codes = {255, 7}};
  const Tensor x = Tensor::full({1, 3, 3, 1200}, 255), w = Tensor::full({2, 3, 3, 1200}, 7);
  Tensor(w).data<float>()[0] = 6;
  if (!fast_integer_conv2d(x, w, options)) return;  // no vectorised kernel here
  const int64_t first = 9 * 1200 * 255 * 7 - 255;
  CHECK(conv2d(x, w, {}, options).to_vector<float>()[0] == float(first));
}

TEST_CASE("integer kernels take codes that they hold, and only where one is vectorised") {
  const Tensor x = random_codes({1, 4, 4, 16}, 0, 255, 6),
               w = random_codes({16, 3, 3, 16}, -1, 1, 7);
  CHECK_FALSE(fast_integer_conv2d(x, w, {}).defined());
  CHECK_FALSE(fast_integer_conv2d(x, w, {.codes = {256, 1}}).defined());
  CHECK_FALSE(fast_integer_conv2d(x, w, {.codes = {255, 8}}).defined());
  CHECK_FALSE(
      fast_integer_conv2d(x.to(Dtype::f64), w.to(Dtype::f64), {.codes = {255, 1}}).defined());
  const Tensor grouped = random_codes({16, 3, 3, 8}, -1, 1, 8);
  CHECK_FALSE(fast_integer_conv2d(x, grouped, {.groups = 2, .codes = {255, 1}}).defined());
  kernels::TernaryConv2d::Args args;
  args.x.sizes = {1, 4, 4, 16}, args.kernel_size = {3, 3};
  args.weight = {nullptr, 16, 144};
  const bool vectorised =
      kernels::kernel_table<kernels::TernaryConv2d>().select(args).family != "reference";
  CHECK(fast_integer_conv2d(x, w, {.codes = {255, 1}}).defined() == vectorised);
}

TEST_CASE("weights that were kept for another kernel or device are not read") {
  struct Foreign : kernels::Prepacked {
    int64_t bytes() const override { return 0; }
  };
  const Tensor x = random_codes({2, 7, 6, 16}, 0, 255, 9);
  const Tensor w = random_codes({16, 3, 3, 16}, -1, 1, 10);
  kernels::TernaryConv2d::Args args;
  args.x.sizes = {2, 7, 6, 16}, args.kernel_size = {3, 3};
  args.weight = {nullptr, 16, 144};
  const std::string own = kernels::kernel_table<kernels::TernaryConv2d>().select(args).name;
  const Device other{Device::Kind::emulated, 0};
  IntegerWeights kept = GENERATE_COPY(IntegerWeights{"another", other, nullptr},
                                      IntegerWeights{"another", Device{}, nullptr},
                                      IntegerWeights{own, other, nullptr});
  kept.prepacked = std::make_shared<Foreign>();
  CHECK(integer_conv2d(x, 255, w, 1, {}, &kept).to_vector<float>() ==
        conv2d(x, w).to_vector<float>());
}
