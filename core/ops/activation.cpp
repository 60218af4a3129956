#include <apprentice/core/ops/activation.h>

#include <cmath>
#include <numbers>

#include <apprentice/base/unit.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/elementwise_internal.h>

namespace apprentice {
namespace {

template <class T>
T logistic(T v) {
  // exp of a negative number only, so nothing overflows.
  const T e = std::exp(-std::abs(v));
  return (v < 0 ? e : T(1)) / (1 + e);
}

/// min(max(v, low), high); NaN stays NaN.
template <class T>
T limit(T v, double low, double high) {
  return v < T(low) ? T(low) : v > T(high) ? T(high) : v;
}

}  // namespace

Tensor relu(const Tensor& x) {
  return unary_op_of_result(
      "relu", x, [](auto v) { return v < 0 ? decltype(v)(0) : v; },
      [](auto y) { return decltype(y)(y > 0); });
}

Tensor relu6(const Tensor& x) {
  return unary_op_of_result(
      "relu6", x, [](auto v) { return limit(v, 0, 6); },
      [](auto y) { return decltype(y)(y > 0 && y < 6); });
}

Tensor sigmoid(const Tensor& x) {
  return unary_op_of_result(
      "sigmoid", x, [](auto v) { return logistic(v); }, [](auto y) { return y * (1 - y); });
}

Tensor tanh(const Tensor& x) {
  return unary_op_of_result(
      "tanh", x, [](auto v) { return std::tanh(v); }, [](auto y) { return 1 - y * y; });
}

Tensor hardtanh(const Tensor& x, double low, double high) {
  return unary_op_of_result(
      "hardtanh", x, [=](auto v) { return limit(v, low, high); },
      [=](auto y) { return decltype(y)(y > decltype(y)(low) && y < decltype(y)(high)); });
}

Tensor gelu(const Tensor& x) {
  // d/dx = Phi(x) + x phi(x), phi the normal density.
  return unary_op(
      "gelu", x,
      [](auto v) {
        using T = decltype(v);
        return v * std::erfc(-v * T(1 / std::numbers::sqrt2)) / 2;
      },
      [](auto v) {
        using T = decltype(v);
        const T density = std::exp(-v * v / 2) * T(std::numbers::inv_sqrtpi / std::numbers::sqrt2);
        return std::erfc(-v * T(1 / std::numbers::sqrt2)) / 2 + v * density;
      });
}

Tensor silu(const Tensor& x) {
  return unary_op(
      "silu", x, [](auto v) { return v * logistic(v); },
      [](auto v) {
        const auto s = logistic(v);
        return s * (1 + v * (1 - s));
      });
}

Tensor softplus(const Tensor& x) {
  return unary_op(
      "softplus", x,
      [](auto v) { return (v > 0 ? v : decltype(v)(0)) + std::log1p(std::exp(-std::abs(v))); },
      [](auto v) { return logistic(v); });
}

Tensor hardswish(const Tensor& x) {
  return unary_op(
      "hardswish", x, [](auto v) { return v * limit(v + 3, 0, 6) / 6; },
      [](auto v) {
        using T = decltype(v);
        return v <= -3 ? T(0) : v >= 3 ? T(1) : (2 * v + 3) / 6;
      });
}

}  // namespace apprentice

APPRENTICE_UNIT(activation) {
  using namespace apprentice;
  const auto add = [](const char* name, Tensor (*op)(const Tensor&)) {
    op_samples().add(name, [op](Rng& rng) { return unary_samples(op, -4, 8, rng); });
  };
  add("relu", relu);
  add("relu6", relu6);
  add("sigmoid", sigmoid);
  add("tanh", apprentice::tanh);
  add("hardtanh", [](const Tensor& x) { return hardtanh(x, -1.5, 2); });
  add("gelu", gelu);
  add("silu", silu);
  add("softplus", softplus);
  add("hardswish", hardswish);
}
