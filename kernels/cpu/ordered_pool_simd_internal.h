#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// y[c] = f32(sum over pixels of x[pixel, c]) * factor
struct OrderedPoolSimd {
  void (*of_f32)(const float* x, int64_t pixels, int64_t channels, float factor, float* y);
  void (*of_u8)(const unsigned char* x, int64_t pixels, int64_t channels, float factor, float* y);
};

APPRENTICE_SIMD_TABLE(OrderedPoolSimd, ordered_pool)

}  // namespace apprentice::kernels
