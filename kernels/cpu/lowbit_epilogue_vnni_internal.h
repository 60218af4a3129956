#pragma once

#include <apprentice/kernels/cpu/intrinsics_internal.h>

#include <cstdint>

/// Pieces of the epilogue that AVX-512 kernels of low-bit convolution share.
namespace apprentice::kernels::vnni {

/// The lanes [begin, end) of 16.
inline __mmask16 lanes(int64_t begin, int64_t end) {
  const uint32_t below_end = end <= 0 ? 0 : end >= 16 ? 0xffff : (1u << end) - 1;
  const uint32_t below_begin = begin <= 0 ? 0 : begin >= 16 ? 0xffff : (1u << begin) - 1;
  return __mmask16(below_end & ~below_begin);
}

/// t with the shortcut of 16 channels: fmaf(code, r, t).
inline __m512 add_codes(__m128i codes, __m512 r, __m512 t) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(codes)), r, t);
}

/// rint(min(t, max_code)), half to even; what is negative becomes 0 when narrowed. A NaN stays one
/// in min and converts to a negative number.
inline __m512i round_to_code(__m512 t, __m512 max_code) {
  return _mm512_cvt_roundps_epi32(_mm512_min_ps(max_code, t),
                                  _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/// Four vectors of s32 as u8, saturated: vector k in 128-bit lane k.
inline __m512i narrow(__m512i a, __m512i b, __m512i c, __m512i d) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i words = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  return _mm512_permutexvar_epi32(order, words);
}
/// One vector of s32 as u8, saturated.
inline __m128i narrow(__m512i code) {
  return _mm512_cvtusepi32_epi8(_mm512_max_epi32(code, _mm512_setzero_si512()));
}

}  // namespace apprentice::kernels::vnni
