#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace apprentice::quant {

/// The exact q-quantile, 0 < q < 1, of a stream of known length, as numpy.percentile defines it
/// (linear between neighbours): position q (n - 1) of the sorted values. Keeps only the values that
/// can be there, at most twice the (1 - q) n largest.
class Percentile {
 public:
  Percentile(double q, int64_t values);
  void add(const float* values, int64_t count);
  /// CheckFailed unless exactly the announced number of values came and none is NaN.
  float value();

 private:
  void prune();

  double position_;  ///< in the sorted values
  int64_t expected_, seen_ = 0;
  size_t keep_;                                            ///< as many of the largest decide
  float floor_ = -std::numeric_limits<float>::infinity();  ///< smaller values do not
  bool nan_ = false;
  std::vector<float> tail_;
};

}  // namespace apprentice::quant
