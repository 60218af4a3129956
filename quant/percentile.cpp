#include <apprentice/quant/percentile_internal.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include <apprentice/base/error.h>

namespace apprentice::quant {

Percentile::Percentile(double q, int64_t values)
    : position_(q * double(values - 1)),
      expected_(values),
      keep_(size_t(values - int64_t(std::floor(position_)))) {
  check(values > 0, "calibration: no values to observe");
  tail_.reserve(2 * keep_);
}

void Percentile::add(const float* values, int64_t count) {
  seen_ += count;
  for (int64_t i = 0; i < count; ++i) {
    if (!(values[i] > floor_)) {
      nan_ |= values[i] != values[i];
      continue;
    }
    tail_.push_back(values[i]);
    if (tail_.size() == 2 * keep_) prune();
  }
}

void Percentile::prune() {
  std::nth_element(tail_.begin(), tail_.begin() + int64_t(keep_ - 1), tail_.end(),
                   std::greater<float>());
  tail_.resize(keep_);
  floor_ = tail_.back();
}

float Percentile::value() {
  check<CheckFailed>(seen_ == expected_, "calibration: saw {} values, expected {}", seen_,
                     expected_);
  check<CheckFailed>(!nan_ && tail_.size() >= keep_, "calibration: activations are not finite");
  std::sort(tail_.begin(), tail_.end(), std::greater<float>());
  const double low = tail_[keep_ - 1];
  const double high = keep_ > 1 ? tail_[keep_ - 2] : low;
  return float(low + (position_ - std::floor(position_)) * (high - low));
}

}  // namespace apprentice::quant
