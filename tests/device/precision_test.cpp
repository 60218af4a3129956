#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/linear.h>
#include <apprentice/core/precision.h>
#include <device/test_device.h>
#include <support/throws.h>

using namespace apprentice;
using test::throws;

namespace {

/// Integers low to high on the device.
Tensor integers(const Shape& shape, int64_t low, int64_t high, Rng& rng) {
  std::vector<float> values(size_t(shape.numel()));
  for (float& v : values) v = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return Tensor::from(values, shape).to(test_device());
}

std::vector<float> conv(const Tensor& x, const Tensor& w, Precision precision) {
  const PrecisionGuard guard(precision);
  return conv2d(x, w, {}, {.padding = {1, 1}}).to_vector<float>();
}

}  // namespace

TEST_CASE("codes of 8 bits convolve to the same integers in f32, TF32 and bf16") {
  Rng rng(3);
  // 9 * 64 products of up to 255 * 7: sums of up to 1.03 M, of which bf16 itself holds few.
  const Tensor x = integers({2, 5, 4, 64}, 128, 255, rng), w = integers({5, 3, 3, 64}, -7, 7, rng);
  const auto expected = conv(x, w, Precision::f32);
  CHECK(conv(x, w, Precision::tf32) == expected);
  CHECK(conv(x, w, Precision::bf16) == expected);
  // Integers of 9 bits are rounded to 8: the precision does reach the kernel.
  const Tensor wide = integers({2, 5, 4, 64}, 257, 511, rng);
  CHECK(conv(wide, w, Precision::tf32) == conv(wide, w, Precision::f32));
  CHECK(conv(wide, w, Precision::bf16) != conv(wide, w, Precision::f32));
}

TEST_CASE("gradients are computed in the precision of their forward") {
  const Tensor factor = Tensor::from(std::vector<float>{1.0f + 0x1p-12f}, {1, 1});
  const auto grads = [&](Precision forward, Precision backward, bool conv) {
    Tensor x = factor.to(test_device()).clone(), w = x.clone();
    x.set_requires_grad(true), w.set_requires_grad(true);
    Tensor y;
    {
      const PrecisionGuard guard(forward);
      y = conv ? conv2d(x.reshape({1, 1, 1, 1}), w.reshape({1, 1, 1, 1})) : linear(x, w);
    }
    const PrecisionGuard guard(backward);
    y.backward(Tensor::full(y.shape(), 1).to(test_device()));
    return std::vector<float>{float(x.grad().item()), float(w.grad().item())};
  };
  const bool conv = GENERATE(true, false);
  CAPTURE(conv);
  for (const Precision other : {Precision::f32, Precision::bf16}) {
    CHECK(grads(Precision::f32, other, conv) == std::vector<float>(2, 1.0f + 0x1p-12f));
    CHECK(grads(Precision::bf16, other, conv) == std::vector<float>(2, 1.0f));
    CHECK(grads(Precision::tf32, other, conv) == std::vector<float>(2, 1.0f));
  }
}

TEST_CASE("a precision guard ends with its scope, and unknown names are errors") {
  CHECK(current_precision() == Precision::f32);
  {
    const PrecisionGuard outer(Precision::bf16);
    const PrecisionGuard inner(parse_precision("tf32"));
    CHECK(current_precision() == Precision::tf32);
  }
  CHECK(current_precision() == Precision::f32);
  for (const char* name : {"", "fp32", "BF16", "bf16 "})
    CHECK(throws<ConfigError>([&] { parse_precision(name); }, "expected f32, tf32 or bf16") == "");
}
