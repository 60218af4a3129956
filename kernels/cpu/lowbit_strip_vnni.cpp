// AVX-512-VNNI kernel of low-bit convolution and GEMM. A register block is 1 or 2 panels of 16
// outputs by kPixels output pixels; a step broadcasts 4 input bytes of a pixel (load port only) and
// multiplies them with 16 x 4 weights, one vpdpbusd each: u8 x s8 into s32, which cannot saturate.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;

/// One column of register blocks: constants and place of 16 output channels.
struct Outputs {
  __mmask16 mask;
  __m512 a, a_negative, b;
  int64_t first;
};

inline Outputs outputs_of(const LowbitStrip& s, int64_t block) {
  Outputs o;
  o.first = block * kLanes;
  const int64_t left = s.out - o.first;
  o.mask = left >= kLanes ? __mmask16(0xffff) : __mmask16((1u << left) - 1);
  o.a = o.a_negative = o.b = _mm512_setzero_ps();
  if (s.y) {
    o.a = _mm512_maskz_loadu_ps(o.mask, s.a + o.first);
    o.b = _mm512_maskz_loadu_ps(o.mask, s.b + o.first);
    if (s.two_step) o.a_negative = _mm512_maskz_loadu_ps(o.mask, s.a_negative + o.first);
  }
  return o;
}

/// t + r * code of the shortcut of these channels; channels that it lacks are code 0.
inline __m512 add_shortcut(const LowbitStrip& s, const Outputs& o, __m512 t, const uint8_t* codes) {
  __mmask16 mask = o.mask;
  const int64_t shift = s.residual_first - o.first;
  if (shift > 0) mask &= shift >= kLanes ? __mmask16(0) : __mmask16(0xffffu << shift);
  const int64_t end = s.residual_first + s.residual_channels - o.first;
  if (end < kLanes) mask &= end <= 0 ? __mmask16(0) : __mmask16((1u << end) - 1);
  const __m128i bytes = _mm_maskz_loadu_epi8(mask, codes - shift);
  const __m512 code = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes));
  return _mm512_fmadd_ps(code, _mm512_set1_ps(s.r), t);
}

inline void store_codes(const LowbitStrip& s, const Outputs& o, __m512 t, uint8_t* y) {
  t = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), _mm512_set1_ps(s.max_code));
  const __m512i code = _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm_mask_storeu_epi8(y, o.mask, _mm512_cvtepi32_epi8(code));
}

/// Where the results of one output pixel go.
struct Pixel {
  int64_t offset;  ///< of its channel 0 in acc, negative and y
  const uint8_t* residual;
};

inline Pixel pixel_of(const LowbitStrip& s, int64_t row, int64_t col) {
  const int64_t step = row * s.residual_row_step + col * s.residual_col_step;
  return {(row * s.cols + col) * s.out, s.residual ? s.residual + step : nullptr};
}

inline void finish(const LowbitStrip& s, const Outputs& o, const Pixel& p, __m512i acc) {
  const int64_t at = p.offset + o.first;
  if (s.acc) _mm512_mask_storeu_epi32(s.acc + at, o.mask, acc);
  if (!s.y) return;
  __m512 t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), o.a, o.b);
  if (s.residual) t = add_shortcut(s, o, t, p.residual);
  store_codes(s, o, t, s.y + at);
}

inline void finish_two_step(const LowbitStrip& s, const Outputs& o, const Pixel& p, __m512i acc,
                            __m512i negative) {
  const int64_t at = p.offset + o.first;
  if (s.acc) _mm512_mask_storeu_epi32(s.acc + at, o.mask, acc);
  if (s.negative) _mm512_mask_storeu_epi32(s.negative + at, o.mask, negative);
  if (!s.y) return;
  __m512 t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), o.a_negative, o.b);
  t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), o.a, t);
  if (s.residual) t = add_shortcut(s, o, t, p.residual);
  store_codes(s, o, t, s.y + at);
}

/// Panels accumulators of Pixels neighbouring pixels, whose windows begin at x.
template <int Panels, int Pixels>
inline void multiply(const LowbitStrip& s, const int8_t* panel, const uint8_t* x,
                     __m512i (&acc)[Panels][Pixels]) {
  const int64_t step_x = s.col_step;
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint8_t* at = x + s.run_offset[run];
    for (int64_t step = 0; step < s.run_steps; ++step) {
      __m512i w[Panels];
#pragma GCC unroll 2
      for (int k = 0; k < Panels; ++k) w[k] = _mm512_load_si512(panel + k * s.panel_bytes);
#pragma GCC unroll 16
      for (int p = 0; p < Pixels; ++p) {
        int32_t bytes;
        __builtin_memcpy(&bytes, at + p * step_x, 4);
        const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 2
        for (int k = 0; k < Panels; ++k) acc[k][p] = _mm512_dpbusd_epi32(acc[k][p], v, w[k]);
      }
      panel += 64;
      at += 4;
    }
  }
}

/// Pixels neighbouring output pixels from column `col` of row `row`; `block` is the first block of
/// 16 outputs, of which there are Panels (one step) or one (two steps: panels P and N).
template <int Panels, int Pixels, bool TwoStep>
void tile(const LowbitStrip& s, int64_t block, int64_t row, int64_t col) {
  __m512i acc[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
    const int32_t* from = s.start[TwoStep ? k : 0];
    const int64_t first = (TwoStep ? block : block + k) * kLanes;
    const __m512i start = from ? _mm512_loadu_si512(from + first) : _mm512_setzero_si512();
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) acc[k][p] = start;
  }
  const int8_t* panel = s.panels + block * (TwoStep ? 2 : 1) * s.panel_bytes;
  multiply<Panels, Pixels>(s, panel, s.x + row * s.row_step + col * s.col_step, acc);

  constexpr int kBlocks = TwoStep ? 1 : Panels;
#pragma GCC unroll 2
  for (int k = 0; k < kBlocks; ++k) {
    const Outputs o = outputs_of(s, block + k);
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) {
      const Pixel pixel = pixel_of(s, row, col + p);
      if constexpr (TwoStep) {
        finish_two_step(s, o, pixel, acc[0][p], acc[1][p]);
      } else {
        finish(s, o, pixel, acc[k][p]);
      }
    }
  }
}

using Tile = void (*)(const LowbitStrip&, int64_t block, int64_t row, int64_t col);

/// Tiles by their number of pixels; index 0 is unused.
template <int Panels, bool TwoStep>
struct Tiles {
  static constexpr int kMost = Panels == 1 ? 16 : 14;
  static constexpr Tile small[9] = {nullptr,
                                    tile<Panels, 1, TwoStep>,
                                    tile<Panels, 2, TwoStep>,
                                    tile<Panels, 3, TwoStep>,
                                    tile<Panels, 4, TwoStep>,
                                    tile<Panels, 5, TwoStep>,
                                    tile<Panels, 6, TwoStep>,
                                    tile<Panels, 7, TwoStep>,
                                    tile<Panels, 8, TwoStep>};

  static void rows(const LowbitStrip& s, int64_t block) {
    for (int64_t row = 0; row < s.rows; ++row) {
      int64_t col = 0;
      while (col < s.cols) {
        const int64_t left = s.cols - col;
        if (left >= kMost) {
          tile<Panels, kMost, TwoStep>(s, block, row, col);
          col += kMost;
        } else {
          const int64_t pixels = left > 8 ? (left + 1) / 2 : left;
          small[pixels](s, block, row, col);
          col += pixels;
        }
      }
    }
  }
};

}  // namespace

void lowbit_strip(const LowbitStrip& s) {
  int64_t block = s.first_block;
  if (s.two_step) {
    for (; block < s.end_block; ++block) Tiles<2, true>::rows(s, block);
    return;
  }
  for (; block + 2 <= s.end_block; block += 2) Tiles<2, false>::rows(s, block);
  if (block < s.end_block) Tiles<1, false>::rows(s, block);
}

}  // namespace apprentice::kernels::vnni
