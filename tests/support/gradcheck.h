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

/// sum_i u_i y_i in double, and sum_i |u_i y_i|.
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

/// Compares the gradients of every f64 input, for a random upstream gradient u, with the central
/// difference (L(x + h) - L(x - h)) / 2h of L = sum u y. Returns "" or the worst disagreement.
///
/// With h = eps^(1/3), eps = 2^-52, truncation (h^2 / 6 L''') and rounding (eps |L| / h) are both of
/// order eps^(2/3) = 3.7e-11. Allowed: 200 times that times (1 + |derivative| + sum |u y|), which
/// leaves room for third derivatives up to about 1000 and for operations of a few hundred terms.
inline std::string gradcheck(const TensorFunction& fn, const std::vector<Tensor>& given,
                             uint64_t seed = 1) {
  const double h = std::cbrt(0x1p-52), unit = std::pow(0x1p-52, 2.0 / 3);
  std::vector<Tensor> inputs;
  for (const Tensor& input : given) {
    inputs.push_back(input.clone());
    if (input.dtype() == Dtype::f64) inputs.back().set_requires_grad();
  }
  const Tensor y = fn(inputs);
  Rng rng(seed, RngPurpose::test);
  std::vector<double> u(size_t(y.numel()));
  for (double& v : u) v = 2 * double(rng.uniform()) - 1;
  y.backward(Tensor::from(u, y.shape()));

  std::string worst;
  double worst_ratio = 1;
  NoGrad no_grad;
  for (size_t k = 0; k < inputs.size(); ++k) {
    if (inputs[k].dtype() != Dtype::f64) continue;
    const Tensor grad = inputs[k].grad();
    if (!grad.defined() || grad.shape() != inputs[k].shape())
      return fmt::format("input {} has {}", k, grad.defined() ? "a gradient of another shape"
                                                              : "no gradient");
    const std::vector<double> got = grad.to_vector<double>();
    for (size_t i = 0; i < got.size(); ++i) {
      double* at = inputs[k].data<double>() + i;
      const double before = *at;
      *at = before + h;
      const Projection up = project(fn(inputs), u);
      *at = before - h;
      const Projection down = project(fn(inputs), u);
      *at = before;
      const double expected = (up.value - down.value) / (2 * h);
      const double allowed =
          200 * unit * (1 + std::abs(expected) + std::max(up.magnitude, down.magnitude));
      const double ratio = std::abs(got[i] - expected) / allowed;
      if (!(ratio > worst_ratio) && !std::isnan(ratio)) continue;
      worst_ratio = ratio;
      worst = fmt::format("input {} {}: d/dx[{}] is {}, central difference {}, allowed {}", k,
                          inputs[k].shape().str(), i, got[i], expected, allowed);
    }
  }
  return worst;
}

}  // namespace apprentice::test
