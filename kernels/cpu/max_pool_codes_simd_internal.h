#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// One output row of a MaxPool2d of codes.
struct MaxPoolCodesRow {
  const unsigned char* x;  ///< [rows, width, channels]: the rows that the windows have in the image
  int64_t rows, width, channels;
  int64_t kernel, stride, padding;  ///< along the row
  unsigned char* y;                 ///< [cols, channels]
  int64_t cols;
};

struct MaxPoolCodesSimd {
  void (*row)(const MaxPoolCodesRow&);
};

APPRENTICE_SIMD_TABLE(MaxPoolCodesSimd, max_pool_codes)

}  // namespace apprentice::kernels
