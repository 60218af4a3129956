#pragma once

#include <functional>
#include <string>
#include <vector>

#include <apprentice/nn/module.h>
#include <support/gradcheck.h>

namespace apprentice::test {

/// Compares the gradient of every parameter of an f64 module with central differences along random
/// directions d: sum grad d against (L(p + h d) - L(p - h d)) / 2h, L = sum u y, u and d uniform in
/// [-1, 1]. Returns "" or the parameter that disagrees most. Step and allowance as in gradcheck; a
/// direction of n elements moves y about sqrt(n / 3) times as far as one element, so it is scaled
/// to length 1.
inline std::string module_gradcheck(nn::Module& module, const std::function<Tensor()>& forward,
                                    uint64_t seed = 1, int directions = 2) {
  const double h = std::cbrt(0x1p-52), unit = std::pow(0x1p-52, 2.0 / 3);
  Rng rng(seed, RngPurpose::test);
  const auto random = [&](int64_t count) {
    std::vector<double> values(static_cast<size_t>(count));
    for (double& v : values) v = 2 * double(rng.uniform()) - 1;
    return values;
  };
  const Tensor y = forward();
  const std::vector<double> u = random(y.numel());
  y.backward(Tensor::from(u, y.shape()));

  std::string worst;
  double worst_ratio = 1;
  NoGrad no_grad;
  for (auto& [name, parameter] : module.named_parameters()) {
    if (!parameter.grad().defined()) return name + " has no gradient";
    const std::vector<double> grad = parameter.grad().to_vector<double>();
    const std::vector<double> at = parameter.to_vector<double>();
    for (int k = 0; k < directions; ++k) {
      std::vector<double> d = random(parameter.numel());
      double length = 0, got = 0;
      for (double v : d) length += v * v;
      for (size_t i = 0; i < d.size(); ++i) got += grad[i] * (d[i] /= std::sqrt(length));
      const auto moved = [&](double step) {
        double* p = parameter.data<double>();
        for (size_t i = 0; i < d.size(); ++i) p[i] = at[i] + step * d[i];
        return project(forward(), u);
      };
      const Projection up = moved(h), down = moved(-h);
      parameter.copy_from(Tensor::from(at, parameter.shape()));
      const double expected = (up.value - down.value) / (2 * h);
      const double allowed =
          200 * unit * (1 + std::abs(expected) + std::max(up.magnitude, down.magnitude));
      const double ratio = std::abs(got - expected) / allowed;
      if (ratio <= worst_ratio) continue;
      worst_ratio = ratio;
      worst =
          fmt::format("{}: along a direction the gradient gives {}, the difference {}, allowed {}",
                      name, got, expected, allowed);
    }
  }
  return worst;
}

}  // namespace apprentice::test
