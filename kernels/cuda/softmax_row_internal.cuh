#pragma once

#include <cmath>
#include <limits>

#include <apprentice/kernels/cuda/reduce_team_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Softmax of a row x / temperature as log p_j = (x_j - top) inv_temperature - log_sum.
struct RowSoftmax {
  float top, log_sum, inv_temperature;

  SIMT_FN float logarithm(float x) const { return (x - top) * inv_temperature - log_sum; }
};

/// That of the team's row: two passes, the second by the cache; the sum in double. A NaN is no top,
/// but makes the sum NaN.
template <class Team>
SIMT_FN RowSoftmax row_softmax(const float* x, int64_t n, float inv_temperature) {
  float top = -std::numeric_limits<float>::infinity();
  for (int64_t j = Team::rank(); j < n; j += Team::kThreads) top = x[j] > top ? x[j] : top;
  top = Team::largest(top);
  double sum = 0;
  for (int64_t j = Team::rank(); j < n; j += Team::kThreads)
    sum += double(std::exp((x[j] - top) * inv_temperature));
  return {top, std::log(float(Team::sum(sum))), inv_temperature};
}

}  // namespace apprentice::kernels::SIMT_NS
