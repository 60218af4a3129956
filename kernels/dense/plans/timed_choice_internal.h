#pragma once

#include <cmath>
#include <cstddef>
#include <limits>
#include <optional>

namespace apprentice::kernels::dense {

/// The time of a candidate that cannot run.
inline constexpr double kNever = std::numeric_limits<double>::infinity();

/// The candidate of 0 .. n-1 with the least time, the first among equals; nothing if none can run.
/// `time(i)` runs it once. Its first run pays for loading and only serves to leave out what is far
/// slower than the best so far; of three more the least counts.
template <class Time>
std::optional<size_t> fastest(size_t n, Time time) {
  constexpr double kHopeless = 8;
  constexpr int kRuns = 3;
  std::optional<size_t> best;
  double least = kNever;
  for (size_t i = 0; i < n; ++i) {
    const double first = time(i);
    if (first == kNever || first > kHopeless * least) continue;
    double own = kNever;
    for (int run = 0; run < kRuns; ++run) own = std::fmin(own, time(i));
    if (own < least) best = i, least = own;
  }
  return best;
}

}  // namespace apprentice::kernels::dense
