#pragma once

#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

// What the AVX2 files of low-bit GEMM share; each has its own copy of the functions.
namespace apprentice::kernels::avx2 {

inline constexpr int64_t kLanes = 8;

/// The first `left` of 8 lanes, or all.
static inline __m256i lane_mask(int64_t left) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(left > kLanes ? kLanes : left)), lane);
}

/// One value: what GemmFold says. Without two steps there is no `negative`.
template <bool TwoStep>
static inline void fold_value(__m256i sum, __m256i negative, __m256 a, __m256 a_negative,
                              float* value) {
  __m256 t = _mm256_loadu_ps(value);
  if (TwoStep) t = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(negative), a_negative, t);
  _mm256_storeu_ps(value, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), a, t));
}

}  // namespace apprentice::kernels::avx2
