#pragma once

#include <algorithm>
#include <cmath>

#include <apprentice/core/tensor.h>

namespace apprentice::test {

/// Largest |a - b| / (1 + |b|) of two tensors of as many elements.
inline double distance(const Tensor& a, const Tensor& b) {
  const auto va = a.to_vector<double>(), vb = b.to_vector<double>();
  double worst = 0;
  for (size_t i = 0; i < va.size(); ++i)
    worst = std::max(worst, std::abs(va[i] - vb[i]) / (1 + std::abs(vb[i])));
  return worst;
}

}  // namespace apprentice::test
