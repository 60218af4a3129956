#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

/// Some rows of a Requantize; pointers as in its Args, null where absent.
template <class T, class Code>
struct RequantizeBlock {
  const T *acc, *acc_negative;
  const Code* residual;
  Code* y;
  int64_t rows, width;
  const float *a, *a_negative, *b;
  float r, max_code;
};

struct RequantizeSimd {
  void (*of_f32)(const RequantizeBlock<float, float>&);
  void (*of_s32)(const RequantizeBlock<int32_t, uint8_t>&);
};

APPRENTICE_SIMD_TABLE(RequantizeSimd, requantize)

}  // namespace apprentice::kernels
