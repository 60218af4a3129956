#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <apprentice/core/tensor.h>

namespace apprentice::test {

/// "" if |got - expected| <= absolute + relative |expected| everywhere, else the worst element.
inline std::string allclose(const Tensor& got, const Tensor& expected, double absolute,
                            double relative = 0) {
  if (got.shape() != expected.shape())
    return fmt::format("shape is {}, expected {}", got.shape().str(), expected.shape().str());
  const std::vector<double> g = got.to_vector<double>(), e = expected.to_vector<double>();
  size_t worst = 0;
  double worst_excess = 0;
  for (size_t i = 0; i < g.size(); ++i) {
    const double excess = std::abs(g[i] - e[i]) - (absolute + relative * std::abs(e[i]));
    if (excess <= worst_excess) continue;  // a NaN is an excess
    worst_excess = std::isnan(excess) ? INFINITY : excess;
    worst = i;
  }
  if (worst_excess == 0) return "";
  return fmt::format("element {} of {} is {}, expected {} within {} + {} of it", worst,
                     got.shape().str(), g[worst], e[worst], absolute, relative);
}

/// |got - expected| / |expected| in the Euclidean norm.
inline double relative_error(const Tensor& got, const Tensor& expected) {
  const std::vector<double> g = got.to_vector<double>(), e = expected.to_vector<double>();
  double difference = 0, norm = 0;
  for (size_t i = 0; i < std::min(g.size(), e.size()); ++i) {
    difference += (g[i] - e[i]) * (g[i] - e[i]);
    norm += e[i] * e[i];
  }
  return g.size() == e.size() ? std::sqrt(difference / std::max(norm, 1e-300)) : INFINITY;
}

}  // namespace apprentice::test
