// From the sums of a tile's positions to its output pixels: A^T m A, then the epilogue of all its
// pixels at once, 16 channels each.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;

/// The lanes [begin, end).
inline __mmask16 lanes(int64_t begin, int64_t end) {
  const uint32_t below_end = end <= 0 ? 0 : end >= kLanes ? 0xffff : (1u << end) - 1;
  const uint32_t below_begin = begin <= 0 ? 0 : begin >= kLanes ? 0xffff : (1u << begin) - 1;
  return __mmask16(below_end & ~below_begin);
}

/// y[0] = m0 + m1 + m2, y[1] = m1 - m2 - m3.
inline void transform(const __m512i (&m)[4], __m512i (&y)[2]) {
  y[0] = _mm512_add_epi32(_mm512_add_epi32(m[0], m[1]), m[2]);
  y[1] = _mm512_sub_epi32(_mm512_sub_epi32(m[1], m[2]), m[3]);
}

/// The sums of the tile's pixels, row after row, times WinogradTile::factor.
template <int Rows>
inline void transform_tile(const int32_t* sums, int64_t step, __m512i (&y)[Rows * 2]) {
  __m512i rows[Rows][4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    if constexpr (Rows == 1) {
      rows[0][j] = _mm512_load_si512(sums + j * step);
    } else {
      __m512i m[4], both[2];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) m[i] = _mm512_load_si512(sums + (i * 4 + j) * step);
      transform(m, both);
      rows[0][j] = both[0], rows[1][j] = both[1];
    }
  }
#pragma GCC unroll 2
  for (int i = 0; i < Rows; ++i) {
    __m512i pair[2];
    transform(rows[i], pair);
    y[i * 2] = pair[0], y[i * 2 + 1] = pair[1];
  }
}

/// Four vectors of s32 as u8, saturated: vector k in 128-bit lane k.
inline __m512i narrow(const __m512i (&code)[4]) {
  const __m512i first = _mm512_packs_epi32(code[0], code[1]);
  const __m512i second = _mm512_packs_epi32(code[2], code[3]);
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  return _mm512_permutexvar_epi32(order, _mm512_packus_epi16(first, second));
}

/// What a tile's 16 outputs have in common.
struct Block {
  int64_t first;
  __mmask16 mask;
  int64_t pixel[4];  ///< index of the output pixels
  const uint8_t* residual[4];
  bool inside[4];
};

template <int Rows>
inline void store_acc(const LowbitOutputs& w, const Block& b, const __m512i (&sums)[Rows * 2],
                      int32_t* acc) {
  if (!acc) return;
  constexpr int kShift = Rows;  // factor is 1 << Rows
  for (int k = 0; k < Rows * 2; ++k) {
    if (!b.inside[k]) continue;
    _mm512_mask_storeu_epi32(acc + b.pixel[k] * w.out + b.first, b.mask,
                             _mm512_srai_epi32(sums[k], kShift));
  }
}

}  // namespace

template <int Rows>
void winograd_output(const LowbitWinograd& w, int64_t block, const OutputPixel& first,
                     const int32_t* sums, int64_t position_step) {
  constexpr int kPixels = Rows * 2;
  Block b;
  b.first = block * kLanes;
  b.mask = lanes(0, w.out - b.first);
#pragma GCC unroll 4
  for (int k = 0; k < kPixels; ++k) {
    const int64_t row = first.row + k / 2, col = first.col + k % 2;
    b.inside[k] = row < w.out_rows && col < w.out_cols;
    b.pixel[k] = (first.image * w.out_rows + row) * w.out_cols + col;
  }
  __m512i acc[kPixels], negative[kPixels];
  transform_tile<Rows>(sums, position_step, acc);
  store_acc<Rows>(w, b, acc, w.acc);
  if (w.two_step) {
    transform_tile<Rows>(sums + kLanes, position_step, negative);
    store_acc<Rows>(w, b, negative, w.negative);
  }
  if (!w.y) return;

  // The sums are an exact multiple of the convolution, and a / factor is exact, so this is the
  // epilogue of the convolution. (Where a / factor is subnormal it may not be, but then what it adds
  // is far below the rounding of a code.)
  const __m512 part = _mm512_set1_ps(1.0f / WinogradTile<Rows>::factor);
  const __m512 a = _mm512_mul_ps(_mm512_maskz_loadu_ps(b.mask, w.a + b.first), part);
  const __m512 constant = _mm512_maskz_loadu_ps(b.mask, w.b + b.first);
  const __m512 max_code = _mm512_set1_ps(w.max_code);
  __m512 t[kPixels];
#pragma GCC unroll 4
  for (int k = 0; k < kPixels; ++k) t[k] = constant;
  if (w.two_step) {
    const __m512 a_negative =
        _mm512_mul_ps(_mm512_maskz_loadu_ps(b.mask, w.a_negative + b.first), part);
#pragma GCC unroll 4
    for (int k = 0; k < kPixels; ++k) {
      t[k] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative[k]), a_negative, t[k]);
    }
  }
#pragma GCC unroll 4
  for (int k = 0; k < kPixels; ++k) t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[k]), a, t[k]);
  if (w.residual) {
    const int64_t shift = w.residual_first - b.first;
    const __mmask16 mask = lanes(shift, shift + w.residual_channels);
    const __m512 r = _mm512_set1_ps(w.r);
    const uint8_t* from = w.residual + first.image * w.residual_image_step +
                          first.row * w.residual_row_step + first.col * w.residual_col_step - shift;
#pragma GCC unroll 4
    for (int k = 0; k < kPixels; ++k) {
      const uint8_t* at = from + k / 2 * w.residual_row_step + k % 2 * w.residual_col_step;
      const __m128i code = _mm_maskz_loadu_epi8(b.inside[k] ? mask : __mmask16(0), at);
      t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t[k]);
    }
  }
  __m512i code[4];
#pragma GCC unroll 4
  for (int k = 0; k < 4; ++k) {  // a NaN stays one in min, and converts to a negative number
    const __m512 low = _mm512_min_ps(max_code, t[k % kPixels]);
    code[k] = _mm512_cvt_roundps_epi32(low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  const __m512i bytes = narrow(code);
  uint8_t* y = w.y + b.first;
  const auto store = [&](int k, __m128i v) {
    if (b.inside[k]) _mm_mask_storeu_epi8(y + b.pixel[k] * w.out, b.mask, v);
  };
  store(0, _mm512_castsi512_si128(bytes));
  store(1, _mm512_extracti32x4_epi32(bytes, 1));
  if constexpr (Rows == 2) {
    store(2, _mm512_extracti32x4_epi32(bytes, 2));
    store(3, _mm512_extracti32x4_epi32(bytes, 3));
  }
}
template void winograd_output<1>(const LowbitWinograd&, int64_t, const OutputPixel&, const int32_t*,
                                 int64_t);
template void winograd_output<2>(const LowbitWinograd&, int64_t, const OutputPixel&, const int32_t*,
                                 int64_t);

}  // namespace apprentice::kernels::vnni
