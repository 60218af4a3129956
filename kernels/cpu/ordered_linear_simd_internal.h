#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Outputs that a row of repacked weights is padded to: a multiple of every vector's lanes.
inline constexpr int64_t kOrderedOutputs = 16;

/// Some rows of an OrderedLinear.
struct OrderedLinearBlock {
  const float* x;        ///< [rows, depth]
  const float* weights;  ///< [depth, padded out], zero where padded
  const float* bias;     ///< [padded out]
  float* y;              ///< [rows, out]
  int64_t rows, depth, out, padded_out;
};

struct OrderedLinearSimd {
  void (*block)(const OrderedLinearBlock&);
};

APPRENTICE_SIMD_TABLE(OrderedLinearSimd, ordered_linear)

}  // namespace apprentice::kernels
