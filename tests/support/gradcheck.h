#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <apprentice/base/rng.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/tensor.h>

namespace apprentice::test {

using TensorFunction = std::function<Tensor(const std::vector<Tensor>&)>;

/// L = sum_i u_i y_i, and sum_i |u_i y_i|.
struct Projection {
  double value = 0, magnitude = 0;
};
inline Projection project(const Tensor& y, const std::vector<double>& u) {
  const std::vector<double> values = y.to_vector<double>();
  Projection p;
  for (size_t i = 0; i < values.size(); ++i) {
    p.value += u[i] * values[i];
    p.magnitude += std::abs(u[i] * values[i]);
  }
  return p;
}

/// Compares gradients with central differences. The gradient is that of L = sum_i u_i y_i with
/// random u.
class Gradcheck {
 public:
  Gradcheck(TensorFunction fn, const std::vector<Tensor>& inputs, uint64_t seed)
      : fn_(std::move(fn)) {
    for (const Tensor& input : inputs) {
      inputs_.push_back(input.clone());
      if (input.dtype() == Dtype::f64) inputs_.back().set_requires_grad();
    }
    const Tensor y = fn_(inputs_);
    Rng rng(seed, RngPurpose::test);
    upstream_.resize(size_t(y.numel()));
    for (double& u : upstream_) u = 2 * double(rng.uniform()) - 1;
    y.backward(Tensor::from(upstream_, y.shape()));
  }

  /// "" or the worst disagreement of all.
  std::string run() {
    NoGrad no_grad;
    for (size_t k = 0; k < inputs_.size(); ++k)
      if (inputs_[k].dtype() == Dtype::f64) check_input(k);
    return worst_;
  }

 private:
  Projection project_now() { return project(fn_(inputs_), upstream_); }

  void check_input(size_t k) {
    const Tensor grad = inputs_[k].grad();
    if (!grad || grad.shape() != inputs_[k].shape()) {
      worst_ratio_ = INFINITY;
      worst_ = fmt::format("input {} has no gradient of its shape", k);
      return;
    }
    const std::vector<double> got = grad.to_vector<double>();
    for (size_t i = 0; i < got.size(); ++i) check_element(k, i, got[i]);
  }

  void check_element(size_t k, size_t i, double got) {
    const double h = std::cbrt(0x1p-52), unit = std::pow(0x1p-52, 2.0 / 3);
    double* at = inputs_[k].data<double>() + i;
    const double before = *at;
    *at = before + h;
    const Projection up = project_now();
    *at = before - h;
    const Projection down = project_now();
    *at = before;
    const double expected = (up.value - down.value) / (2 * h);
    const double magnitude = std::max(up.magnitude, down.magnitude);
    const double allowed = 200 * unit * (1 + std::abs(expected) + magnitude);
    const double ratio = std::abs(got - expected) / allowed;
    if (ratio <= worst_ratio_) return;
    worst_ratio_ = std::isnan(ratio) ? INFINITY : ratio;
    worst_ = fmt::format("input {} {}: gradient [{}] is {}, central difference {}, allowed {}", k,
                         inputs_[k].shape().str(), i, got, expected, allowed);
  }

  TensorFunction fn_;
  std::vector<Tensor> inputs_;
  std::vector<double> upstream_;
  std::string worst_;
  double worst_ratio_ = 1;
};

/// "" if the gradients of every f64 input agree with (L(x + h) - L(x - h)) / 2h, else the worst.
///
/// With h = eps^(1/3), eps = 2^-52, truncation (h^2 / 6 L''') and rounding (eps |L| / h) are both
/// of order eps^(2/3) = 3.7e-11. Allowed: 200 times that times (1 + |derivative| + sum |u y|),
/// which leaves room for third derivatives up to about 1000 and for operations of a few hundred
/// terms.
inline std::string gradcheck(const TensorFunction& fn, const std::vector<Tensor>& inputs,
                             uint64_t seed = 1) {
  return Gradcheck(fn, inputs, seed).run();
}

}  // namespace apprentice::test
