#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Some numbers of a QuantizeCodes; a code of either sign is its low byte.
struct QuantizeCodesBlock {
  const float* x;
  unsigned char* codes;
  int64_t count;
  float inv_step, low, high;
};

struct QuantizeCodesSimd {
  void (*block)(const QuantizeCodesBlock&);
};

APPRENTICE_SIMD_TABLE(QuantizeCodesSimd, quantize_codes)

}  // namespace apprentice::kernels
