// What operations make of bf16 beside f32, and where bf16 alone would not do.
#include <catch2/catch.hpp>

#include <functional>

#include <apprentice/base/error.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/batch_norm.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/shape.h>
#include <apprentice/core/precision.h>
#include <device/test_device.h>
#include <support/throws.h>

using namespace apprentice;
using test::throws;

namespace {

std::vector<float> rounded(const Tensor& t) {
  return t.to(Dtype::bf16).to(Dtype::f32).to_vector<float>();
}

/// [n] on the device, as bf16 holds them.
Tensor narrow_numbers(const std::vector<float>& values) {
  return Tensor::from(values, {int64_t(values.size())}).to(test_device()).to(Dtype::bf16);
}

/// y and the gradient of x for a gradient of ones.
std::pair<Tensor, Tensor> with_grad(const std::function<Tensor(const Tensor&)>& op,
                                    const Tensor& x) {
  Tensor leaf = x.clone();
  const Tensor y = op(leaf.set_requires_grad());
  y.backward(Tensor::full(y.shape(), 1).to(y.device()).to(y.dtype()));
  return {y.detach(), leaf.grad()};
}

Tensor random_integers(const Shape& shape, int64_t low, int64_t high, Rng& rng) {
  std::vector<float> values(size_t(shape.numel()));
  for (float& v : values) v = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return Tensor::from(values, shape).to(test_device());
}

}  // namespace

TEST_CASE("functions of bf16 numbers and their gradients are those of f32, rounded once") {
  const std::pair<const char*, Tensor (*)(const Tensor&)> ops[] = {
      {"sigmoid", sigmoid},
      {"tanh", [](const Tensor& x) { return apprentice::tanh(x); }},
      {"exp", [](const Tensor& x) { return apprentice::exp(x); }},
      {"sqrt", [](const Tensor& x) { return apprentice::sqrt(x); }},
      {"relu", relu},
      {"relu6", relu6},
      {"softplus", softplus},
      {"hardtanh", [](const Tensor& x) { return hardtanh(x, -0.7, 0.7); }},
      {"maximum", [](const Tensor& x) { return maximum(x, 0.7); }},
      {"minimum", [](const Tensor& x) { return minimum(x, 0.7); }},
      {"number - x", [](const Tensor& x) { return 0.7 - x; }},
      {"number / x", [](const Tensor& x) { return 0.7 / x; }}};
  // 7: a sigmoid that bf16 rounds to 1; the two numbers around 0.7; both ends of relu6.
  const Tensor x = narrow_numbers({0.3f, 0.69921875f, 0.703125f, 1, 3.5f, 6, 7, 9});
  for (const auto& [name, op] : ops) {
    CAPTURE(name);
    const auto [y, grad] = with_grad(op, x);
    const auto [wide_y, wide_grad] = with_grad(op, x.to(Dtype::f32));
    CHECK(y.dtype() == Dtype::bf16);
    CHECK(grad.dtype() == Dtype::bf16);
    CHECK(y.to_vector<float>() == rounded(wide_y));
    CHECK(grad.to_vector<float>() == rounded(wide_grad));
  }
}

TEST_CASE("batch norm adds an f32 residual with all of its bits, and gives f32 then") {
  const bool codes = GENERATE(false, true);
  CAPTURE(codes);
  Rng rng(1);
  const Tensor x = random_integers({2, 3, 3, 5}, -9, 9, rng);
  const Tensor residual = random_integers({2, 3, 3, 5}, 257, 999, rng) * 0x1p-6;
  const auto full = [](double v) { return Tensor::full({5}, v).to(test_device()); };
  const auto run = [&](const Tensor& data, Precision precision) {
    const PrecisionGuard guard(precision);
    BatchNormOptions options{.residual = residual, .relu = true};
    if (codes) options.codes = {Tensor::full({1}, 0x1p-4).to(test_device()), 255, {}};
    return batch_norm_train(data, full(1), full(0), full(0), full(1), options);
  };
  const Tensor expected = run(x, Precision::f32);
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16}) {
    const Tensor y = run(x.to(dtype), Precision::bf16);
    CHECK(y.dtype() == Dtype::f32);
    CHECK(y.to_vector<float>() == expected.to_vector<float>());
  }
}

TEST_CASE("an exact convolution keeps codes of more bits than its precision") {
  Rng rng(2);
  const auto [most_x, most_w] = GENERATE(table<int64_t, int64_t>({{1023, 7}, {4095, 7}, {7, 511}}));
  CAPTURE(most_x, most_w);
  const Tensor x = random_integers({1, 4, 4, 6}, most_x / 2, most_x, rng);
  const Tensor w = random_integers({3, 3, 3, 6}, most_w / 2, most_w, rng);
  Conv2dOptions options;
  const Tensor expected = conv2d(x, w, {}, options);
  options.codes = {most_x, most_w, {}};
  const PrecisionGuard guard(GENERATE(Precision::tf32, Precision::bf16));
  CHECK(conv2d(x, w, {}, options).to_vector<float>() == expected.to_vector<float>());
}

TEST_CASE("bf16 and f32 are joined as f32, and each gets a gradient of its own dtype") {
  Tensor narrow = narrow_numbers({1, 2, 3}), wide = Tensor::full({2}, 0.7).to(test_device());
  narrow.set_requires_grad(), wide.set_requires_grad();
  const Tensor y = concat({narrow, wide}, 0);
  CHECK(y.dtype() == Dtype::f32);
  CHECK(y.to_vector<float>() == std::vector<float>{1, 2, 3, 0.7f, 0.7f});
  y.backward(Tensor::from(std::vector<float>{1, 2, 3, 4, 5.01f}, {5}).to(test_device()));
  CHECK(narrow.grad().dtype() == Dtype::bf16);
  CHECK(narrow.grad().to_vector<float>() == std::vector<float>{1, 2, 3});
  CHECK(wide.grad().to_vector<float>() == std::vector<float>{4, 5.01f});
}

TEST_CASE("errors name the dtypes and devices that the caller gave, and the expected ones") {
  const Tensor x = Tensor::zeros({1, 2, 2, 3}).to(test_device()), narrow = x.to(Dtype::bf16);
  const auto error = [](auto fn) { return throws<DtypeError>(fn, "f64", "bf16"); };
  CHECK(error([&] { add(x.to(Dtype::f64), narrow); }) == "");
  CHECK(error([&] { concat({narrow, x.to(Dtype::f64)}, 0); }) == "");
  const Tensor ones = Tensor::full({3}, 1).to(test_device());
  CHECK(throws<DtypeError>(
            [&] { batch_norm_train(narrow, ones, ones, ones.to(Dtype::bf16), ones.clone()); },
            "running_mean is bf16, expected f32") == "");
  const Tensor w = Tensor::zeros({3, 1, 1, 3}).to(test_device());
  CHECK(throws<DeviceError>(
            [&] {
              conv2d_fused(x, w, {}, {}, Tensor::zeros({1, 2, 2, 3}), false);
            },
            "residual on cpu") == "");
}

TEST_CASE("a gradient of another dtype or device than its tensor's is an error") {
  Tensor x = Tensor::zeros({3}).to(test_device());
  const Tensor y = x.set_requires_grad() * 2;
  CHECK(
      throws<DtypeError>([&] { y.backward(Tensor::zeros({3}).to(test_device()).to(Dtype::bf16)); },
                         "backward", "bf16", "expected f32") == "");
  CHECK(throws<DeviceError>([&] { y.backward(Tensor::zeros({3})); }, "backward", "cpu",
                            "expected " + test_device().str()) == "");
}
