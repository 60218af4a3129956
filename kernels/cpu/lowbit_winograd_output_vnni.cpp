// From the sums of a tile to its output pixels: what is left of A^T m A, then the epilogue of all
// its pixels at once. Whole blocks, of which codes alone are wanted, take the fast road.
#include <apprentice/kernels/cpu/lowbit_epilogue_vnni_internal.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;

/// y[0] = m0 + m1 + m2, y[1] = m1 - m2 - m3.
inline void transform(const __m512i (&m)[4], __m512i (&y)[2]) {
  y[0] = _mm512_add_epi32(_mm512_add_epi32(m[0], m[1]), m[2]);
  y[1] = _mm512_sub_epi32(_mm512_sub_epi32(m[1], m[2]), m[3]);
}

/// The sums of the tile's pixels, row after row, times WinogradTile::factor.
template <int Rows>
inline void transform_tile(const int32_t* sums, __m512i (&y)[Rows * 2]) {
  if constexpr (Rows == 1) {
    y[0] = _mm512_load_si512(sums);
    y[1] = _mm512_load_si512(sums + kWinogradStep);
  } else {
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) {
      __m512i m[4], pair[2];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) m[j] = _mm512_load_si512(sums + (j * 2 + i) * kWinogradStep);
      transform(m, pair);
      y[i * 2] = pair[0], y[i * 2 + 1] = pair[1];
    }
  }
}

/// A tile's pixels: index in the output, and whether they lie inside of it.
template <int Rows>
struct Pixels {
  int64_t index[Rows * 2];
  bool inside[Rows * 2];

  Pixels(const LowbitOutputs& w, const OutputPixel& first) {
    const bool column = first.col + 1 < w.out_cols, row = first.row + 1 < w.out_rows;
    const int64_t at = (first.image * w.out_rows + first.row) * w.out_cols + first.col;
#pragma GCC unroll 4
    for (int k = 0; k < Rows * 2; ++k) {
      index[k] = at + k / 2 * w.out_cols + k % 2;
      inside[k] = (k < 2 || row) && (k % 2 == 0 || column);
    }
  }
};

/// The epilogue's constants for sums that are WinogradTile::factor times the convolution. a /
/// factor is exact, so t is that of the convolution. (Where it is subnormal it may not be, but then
/// what it adds is far below the rounding of a code.)
template <int Rows>
inline __m512 load_factor(__mmask16 mask, const float* a) {
  const __m512 part = _mm512_set1_ps(1.0f / WinogradTile<Rows>::factor);
  return _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, a), part);
}

/// A row of two pixels at a time with two blocks, all pixels at once with one.
template <int Rows>
inline void store_codes(const LowbitWinograd& w, const Pixels<Rows>& pixels, int64_t channel,
                        const __m512i (&code)[Rows * 2][2]) {
#pragma GCC unroll 2
  for (int k = 0; k < Rows * 2; k += 2) {
    const __m512i bytes = narrow(code[k][0], code[k][1], code[k + 1][0], code[k + 1][1]);
    uint8_t* y = w.y + pixels.index[k] * w.out + channel;
    if (pixels.inside[k]) _mm256_storeu_si256((__m256i*)y, _mm512_castsi512_si256(bytes));
    if (pixels.inside[k + 1]) {
      _mm256_storeu_si256((__m256i*)(y + w.out), _mm512_extracti64x4_epi64(bytes, 1));
    }
  }
}
template <int Rows>
inline void store_codes(const LowbitWinograd& w, const Pixels<Rows>& pixels, int64_t channel,
                        const __m512i (&code)[Rows * 2][1]) {
  constexpr int kLast = Rows * 2 - 1;
  const __m512i bytes = narrow(code[0][0], code[1][0], code[kLast - 1][0], code[kLast][0]);
  const auto store = [&](int k, __m128i v) {
    if (pixels.inside[k]) _mm_storeu_si128((__m128i*)(w.y + pixels.index[k] * w.out + channel), v);
  };
  store(0, _mm512_castsi512_si128(bytes));
  store(1, _mm512_extracti32x4_epi32(bytes, 1));
  if constexpr (Rows == 2) {
    store(2, _mm512_extracti32x4_epi32(bytes, 2));
    store(3, _mm512_extracti32x4_epi32(bytes, 3));
  }
}

/// Codes alone of 16 * Blocks channels that all exist; the shortcut has all of them or is absent.
template <int Rows, int Blocks, bool Shortcut>
void store_whole(const LowbitWinograd& w, int64_t block, const OutputPixel& first,
                 const int32_t* sums) {
  constexpr int kPixels = Rows * 2;
  const int64_t channel = block * kLanes;
  const Pixels<Rows> pixels(w, first);
  const __m512 max_code = _mm512_set1_ps(w.max_code), r = _mm512_set1_ps(w.r);
  __m512i code[kPixels][Blocks];
#pragma GCC unroll 2
  for (int h = 0; h < Blocks; ++h) {
    __m512i acc[kPixels];
    transform_tile<Rows>(sums + h * kLanes, acc);
    const __m512 a = load_factor<Rows>(0xffff, w.a + channel + h * kLanes);
    const __m512 b = _mm512_loadu_ps(w.b + channel + h * kLanes);
#pragma GCC unroll 4
    for (int k = 0; k < kPixels; ++k) {
      __m512 t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[k]), a, b);
      if (Shortcut) {  // a pixel outside reads the first one's
        const int64_t at = pixels.inside[k] ? pixels.index[k] : pixels.index[0];
        const __m128i shortcut =
            _mm_loadu_si128((const __m128i*)(w.residual + at * w.out + channel + h * kLanes));
        t = add_codes(shortcut, r, t);
      }
      code[k][h] = round_to_code(t, max_code);
    }
  }
  store_codes(w, pixels, channel, code);
}

template <int Rows>
void store_acc(const LowbitWinograd& w, const Pixels<Rows>& pixels, int64_t channel, __mmask16 mask,
               const __m512i (&sums)[Rows * 2], int32_t* acc) {
  constexpr int kShift = Rows;  // WinogradTile::factor is 1 << Rows
  if (!acc) return;
  for (int k = 0; k < Rows * 2; ++k) {
    if (!pixels.inside[k]) continue;
    _mm512_mask_storeu_epi32(acc + pixels.index[k] * w.out + channel, mask,
                             _mm512_srai_epi32(sums[k], kShift));
  }
}

template <int Rows>
void store_acc_f32(const LowbitWinograd& w, const Pixels<Rows>& pixels, int64_t channel,
                   __mmask16 mask, const __m512i (&sums)[Rows * 2]) {
  for (int k = 0; k < Rows * 2; ++k) {
    if (!pixels.inside[k]) continue;
    _mm512_mask_storeu_ps(w.acc_f32 + pixels.index[k] * w.out + channel, mask,
                          _mm512_cvtepi32_ps(_mm512_srai_epi32(sums[k], Rows)));
  }
}

/// t of the epilogue plus the shortcut, read through option A: channels that it lacks are code 0.
template <int Rows>
void add_shortcut(const LowbitWinograd& w, const Pixels<Rows>& pixels, const OutputPixel& first,
                  int64_t channel, __m512 (&t)[Rows * 2]) {
  const int64_t shift = w.residual_first - channel;
  const __mmask16 mask = lanes(shift, shift + w.residual_channels);
  const __m512 r = _mm512_set1_ps(w.r);
  for (int k = 0; k < Rows * 2; ++k) {
    const int64_t at = first.image * w.residual_image_step +
                       (first.row + k / 2) * w.residual_row_step +
                       (first.col + k % 2) * w.residual_col_step - shift;
    const __m128i code =
        _mm_maskz_loadu_epi8(pixels.inside[k] ? mask : __mmask16(0), w.residual + at);
    t[k] = add_codes(code, r, t[k]);
  }
}

/// Everything that may be wanted of 16 channels; `negative` is null unless two_step.
template <int Rows>
void store_block(const LowbitWinograd& w, int64_t block, const OutputPixel& first,
                 const int32_t* sums, const int32_t* negative) {
  constexpr int kPixels = Rows * 2;
  const int64_t channel = block * kLanes;
  const __mmask16 mask = lanes(0, w.out - channel);
  const Pixels<Rows> pixels(w, first);
  __m512i p[kPixels], n[kPixels];
  transform_tile<Rows>(sums, p);
  store_acc<Rows>(w, pixels, channel, mask, p, w.acc);
  if (w.acc_f32) store_acc_f32<Rows>(w, pixels, channel, mask, p);
  if (negative) {
    transform_tile<Rows>(negative, n);
    store_acc<Rows>(w, pixels, channel, mask, n, w.negative);
  }
  if (!w.y) return;
  const __m512 a = load_factor<Rows>(mask, w.a + channel);
  const __m512 b = _mm512_maskz_loadu_ps(mask, w.b + channel);
  const __m512 a_negative =
      negative ? load_factor<Rows>(mask, w.a_negative + channel) : _mm512_setzero_ps();
  __m512 t[kPixels];
#pragma GCC unroll 4
  for (int k = 0; k < kPixels; ++k) {
    t[k] = negative ? _mm512_fnmadd_ps(_mm512_cvtepi32_ps(n[k]), a_negative, b) : b;
    t[k] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(p[k]), a, t[k]);
  }
  if (w.residual) add_shortcut<Rows>(w, pixels, first, channel, t);
  const __m512 max_code = _mm512_set1_ps(w.max_code);
  for (int k = 0; k < kPixels; ++k) {
    if (!pixels.inside[k]) continue;
    _mm_mask_storeu_epi8(w.y + pixels.index[k] * w.out + channel, mask,
                         narrow(round_to_code(t[k], max_code)));
  }
}

}  // namespace

template <int Rows>
void winograd_output(const LowbitWinograd& w, int64_t block, int64_t panels,
                     const OutputPixel& first, const int32_t* sums) {
  const bool whole = (block + panels) * kLanes <= w.out;
  const bool plain = !w.acc && !w.acc_f32 && !w.two_step &&
                     (!w.residual || (w.residual_col_step == w.out && w.residual_first == 0));
  if (whole && plain) {
    const auto store = panels == 2
                           ? w.residual ? store_whole<Rows, 2, true> : store_whole<Rows, 2, false>
                       : w.residual ? store_whole<Rows, 1, true>
                                    : store_whole<Rows, 1, false>;
    return store(w, block, first, sums);
  }
  if (w.two_step) return store_block<Rows>(w, block, first, sums, sums + kLanes);
  store_block<Rows>(w, block, first, sums, nullptr);
  if (panels == 2) store_block<Rows>(w, block + 1, first, sums + kLanes, nullptr);
}
template void winograd_output<1>(const LowbitWinograd&, int64_t, int64_t, const OutputPixel&,
                                 const int32_t*);
template void winograd_output<2>(const LowbitWinograd&, int64_t, int64_t, const OutputPixel&,
                                 const int32_t*);

}  // namespace apprentice::kernels::vnni
