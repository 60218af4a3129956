#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Outputs that repacked weights and constants are padded to: a multiple of every vector's lanes.
inline constexpr int64_t kOrderedPadding = 16;

/// One output row of an OrderedConv2d.
struct OrderedConvRow {
  const float* image;    ///< [height, width, in]
  const float* weights;  ///< [kh, kw, in, padded out], zero where padded
  int64_t height, width, in, kh, kw, out, padded_out;
  int64_t stride[2], padding[2], dilation[2];
  int64_t p, cols;     ///< the row and its pixels
  float* sums;         ///< [cols, out] or null
  unsigned char* y;    ///< [cols, out] or null
  const float *a, *b;  ///< [padded out]; with y
  float max_code;
};

struct OrderedConvSimd {
  void (*row)(const OrderedConvRow&);
};

APPRENTICE_SIMD_TABLE(OrderedConvSimd, ordered_conv2d)

}  // namespace apprentice::kernels
