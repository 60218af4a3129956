#include <catch2/catch.hpp>

#include <algorithm>

#include <support/allclose.h>
#include <support/throws.h>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/kernel_table.h>

using namespace apprentice;
using test::throws;

TEST_CASE("the dense kernels are in their tables once there is a tensor") {
  const Tensor first = Tensor::empty({1});
  const auto& kernels = kernels::kernel_table<kernels::Conv2d<float>>().kernels();
  CHECK(std::any_of(kernels.begin(), kernels.end(),
                    [](const auto& kernel) { return kernel.family == "onednn"; }));
}

TEST_CASE("the fused convolution is convolution, residual and ReLU one after the other") {
  Rng rng(2, RngPurpose::test);
  const Tensor x = Tensor::normal({2, 6, 5, 3}, 0, 1, rng).to(Dtype::f64);
  const Tensor w = Tensor::normal({4, 3, 3, 3}, 0, 1, rng).to(Dtype::f64);
  const Tensor b = Tensor::normal({4}, 0, 1, rng).to(Dtype::f64);
  const Conv2dOptions options{.stride = {2, 1}, .padding = {1, 1}};
  const Tensor y = conv2d(x, w, b, options);
  const Tensor residual = Tensor::normal(y.shape(), 0, 3, rng).to(Dtype::f64);
  const auto close = [](const Tensor& got, const Tensor& expected) {
    return test::allclose(got, expected, 1e-13, 1e-13);
  };
  CHECK(close(conv2d_fused(x, w, b, options, {}, false), y) == "");
  CHECK(close(conv2d_fused(x, w, b, options, {}, true), relu(y)) == "");
  CHECK(close(conv2d_fused(x, w, b, options, residual, true), relu(y + residual)) == "");
  // f32 takes another kernel: 29 terms of size up to about 5.
  const auto single = [](const Tensor& t) { return t.to(Dtype::f32); };
  CHECK(
      test::allclose(conv2d_fused(single(x), single(w), single(b), options, single(residual), true),
                     single(relu(y + residual)), 29 * 5 * 0x1p-23) == "");
}

TEST_CASE("the fused convolution stays outside the graph") {
  const Tensor x = Tensor::zeros({1, 3, 3, 1});
  const Tensor w = Tensor::zeros({1, 3, 3, 1}).set_requires_grad();
  CHECK_FALSE(conv2d_fused(x, w, {}, {}, {}, false).requires_grad());
}

TEST_CASE("sums of integers below 2^24 are exact") {
  // 128 channels * 9 taps * 255 * 7 = 2.06 million at most.
  Rng rng(3, RngPurpose::test);
  const auto integers = [&](const Shape& shape, float low, float high) {
    return round(Tensor::uniform(shape, low, high, rng));
  };
  const Tensor x = integers({1, 8, 7, 128}, 0, 255), w = integers({16, 3, 3, 128}, -7, 7);
  const Conv2dOptions padded{.padding = {1, 1}};
  CHECK(conv2d(x, w, {}, padded).to_vector<double>() ==
        conv2d(x.to(Dtype::f64), w.to(Dtype::f64), {}, padded).to_vector<double>());
}

TEST_CASE("convolution refuses what does not fit, and says what") {
  const Tensor x = Tensor::zeros({1, 4, 4, 3});
  const auto weight = [](const Shape& shape) { return Tensor::zeros(shape); };
  CHECK(throws<ShapeError>(
            [&] {
              conv2d(x, weight({8, 3, 3, 4}));
            },
            "3 channels", "[8, 3, 3, 4]") == "");
  CHECK(throws<ShapeError>([&] { conv2d(x, weight({8, 5, 5, 3})); }, "does not fit") == "");
  CHECK(throws<ShapeError>(
            [&] {
              conv2d(x, weight({8, 3, 3}));
            },
            "[8, 3, 3]", "[out, kh, kw, in]") == "");
  CHECK(throws<ShapeError>([&] { conv2d(x.reshape({48}), weight({8, 3, 3, 3})); }, "[48]") == "");
  CHECK(throws<ShapeError>(
            [&] {
              conv2d(x, weight({8, 3, 3, 3}), Tensor::zeros({7}));
            },
            "[7]", "[8]") == "");
  CHECK(throws<ShapeError>(
            [&] {
              conv2d(x, weight({8, 3, 3, 3}), {}, {.groups = 2});
            },
            "2 groups") == "");
  CHECK(throws<ShapeError>(
            [&] {
              conv2d(x, weight({8, 3, 3, 3}), {}, {.stride = {0, 1}});
            },
            "stride 0") == "");
  CHECK(throws<DtypeError>([&] { conv2d(x, weight({8, 3, 3, 3}).to(Dtype::f64)); }, "f64") == "");
  CHECK(throws<ShapeError>(
            [&] {
              conv2d_fused(x, weight({8, 3, 3, 3}), {}, {}, Tensor::zeros({1, 2, 2, 7}), true);
            },
            "residual", "[1, 2, 2, 7]", "[1, 2, 2, 8]") == "");
}
