#pragma once

#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

// What the AVX-512-VNNI files of low-bit GEMM share; each has its own copy of the functions.
namespace apprentice::kernels::vnni {

inline constexpr int64_t kLanes = 16;

/// The first `left` of 16 lanes, or all, or none.
static inline __mmask16 lanes_of(int64_t left) {
  return __mmask16(left >= kLanes ? 0xffff : left <= 0 ? 0 : (1u << left) - 1);
}

/// One value: what GemmFold says. Without two steps there is no `negative`.
template <bool TwoStep>
static inline void fold_value(__m512i sum, __m512i negative, __m512 a, __m512 a_negative,
                              float* value) {
  __m512 t = _mm512_loadu_ps(value);
  if (TwoStep) t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), a_negative, t);
  _mm512_storeu_ps(value, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), a, t));
}

// Members of GemmIsa, beside the products.
void lowbit_gemm_copy(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to);
void lowbit_gemm_quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip,
                          uint8_t* to);
void lowbit_gemm_finish(const GemmOutputs& outputs, const int32_t* sums, int64_t panels,
                        int64_t row, int64_t rows, int64_t first);
void lowbit_gemm_fold(const GemmFold& fold);
void lowbit_gemm_finish_values(const GemmOutputs& outputs, const float* values,
                               int64_t packed_panels, int64_t row, int64_t rows, int64_t first);

}  // namespace apprentice::kernels::vnni
