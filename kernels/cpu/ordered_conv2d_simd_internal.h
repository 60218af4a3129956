#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Outputs that packed weights are padded to, so that blocks of 1, 2 and 4 vectors read nothing
/// else.
constexpr int64_t ordered_padded(int64_t out) {
  const int64_t rest = out % 64;
  return out - rest + (rest == 0 ? 0 : rest <= 16 ? 16 : rest <= 32 ? 32 : 64);
}

/// Output rows [begin, end) of one image of an OrderedConv2d.
struct OrderedConvBand {
  const float* image;    ///< [height, width, in]
  const float* weights;  ///< [kh, kw, in, padded out], zero where padded
  int64_t height, width, in, kh, kw, out, padded_out;
  int64_t stride[2], padding[2], dilation[2];
  int64_t begin, end, cols;
  float* sums;         ///< [rows, cols, out] of the image, or null
  unsigned char* y;    ///< [rows, cols, out] of the image, or null
  const float *a, *b;  ///< [out]; with y
  float max_code;
};

struct OrderedConvSimd {
  void (*band)(const OrderedConvBand&);
};

APPRENTICE_SIMD_TABLE(OrderedConvSimd, ordered_conv2d)

}  // namespace apprentice::kernels
