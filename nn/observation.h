#pragma once

#include <functional>

#include <apprentice/nn/scaled.h>

namespace apprentice::nn {

/// What a layer hands to its observer after an eval forward, for calibration, packing and
/// verification.
struct Observation {
  /// Convolutions whose output is coded: accumulators in f32 [n, p, q, out]; integers where x and
  /// weight are codes, ordered f32 sums otherwise.
  Tensor sums;
  /// Two-step weights: `sums` are those of x over codes +1, these over codes -1 (not negated).
  Tensor sums_negative;
  Scaled y;            ///< what the layer returns
  Scaled x, residual;  ///< what it was given
  /// Convolutions whose output is coded: the constants of the epilogue, [out].
  Tensor a, a_negative, b;
  float r = 0;  ///< step of the residual / step of y, if there is a residual
};

using Observer = std::function<void(const Observation&)>;

}  // namespace apprentice::nn
