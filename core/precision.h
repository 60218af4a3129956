#pragma once

#include <string_view>

#include <apprentice/kernels/precision.h>

namespace apprentice {

using kernels::Precision;

/// To what convolutions and matrix products of this thread may round their factors; f32 at first.
/// A permission: devices and kernels that keep more bits do so (the CPU all of them). Tensors stay
/// f32, and so do sums, whatever it is. Integers of up to 8 bits come out the same in every
/// precision, so the codes of a quantized network do not depend on it.
Precision current_precision();
/// The one of such a name; ConfigError for another.
Precision parse_precision(std::string_view name);

/// Another precision while it is alive. Gradients are computed in that of their forward.
class PrecisionGuard {
 public:
  explicit PrecisionGuard(Precision precision);
  ~PrecisionGuard();
  PrecisionGuard(const PrecisionGuard&) = delete;
  PrecisionGuard& operator=(const PrecisionGuard&) = delete;

 private:
  Precision before_;
};

}  // namespace apprentice
