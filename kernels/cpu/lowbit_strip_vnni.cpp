// AVX-512-VNNI kernel of low-bit convolution and GEMM. A register block is 1 or 2 panels of 16
// outputs by kPixels output pixels; a step broadcasts 4 input bytes of a pixel (load port only) and
// multiplies them with 16 x 4 weights, one vpdpbusd each: u8 x s8 into s32, which cannot saturate.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;

/// 16 output channels from `first` on: constants of the epilogue, channels that there are, and
/// those that the shortcut has.
struct Outputs {
  __m512 a, a_negative, b, r, max_code;
  __mmask16 mask, residual_mask;
  int64_t first, residual_shift;
};

/// The lanes [begin, end).
inline __mmask16 lanes(int64_t begin, int64_t end) {
  const uint32_t below_end = end <= 0 ? 0 : end >= kLanes ? 0xffff : (1u << end) - 1;
  const uint32_t below_begin = begin <= 0 ? 0 : begin >= kLanes ? 0xffff : (1u << begin) - 1;
  return __mmask16(below_end & ~below_begin);
}

inline Outputs outputs_of(const LowbitStrip& s, int64_t block) {
  Outputs o;
  o.first = block * kLanes;
  o.mask = lanes(0, s.out - o.first);
  o.residual_shift = s.residual_first - o.first;
  o.residual_mask = lanes(o.residual_shift, o.residual_shift + s.residual_channels);
  o.r = _mm512_set1_ps(s.r);
  o.max_code = _mm512_set1_ps(s.max_code);
  o.a = o.a_negative = o.b = _mm512_setzero_ps();
  if (s.y) {
    o.a = _mm512_maskz_loadu_ps(o.mask, s.a + o.first);
    o.b = _mm512_maskz_loadu_ps(o.mask, s.b + o.first);
    if (s.two_step) o.a_negative = _mm512_maskz_loadu_ps(o.mask, s.a_negative + o.first);
  }
  return o;
}

/// Sums of a tile: [panel][pixel] of 16 s32.
using Sums = const __m512i*;

/// Codes of `pixels` neighbouring output pixels, the first of which is pixel (row, col).
template <bool TwoStep, bool Shortcut, bool Full>
void store_codes(const LowbitStrip& s, const Outputs& o, Sums acc, Sums negative, int64_t row,
                 int64_t col, int64_t pixels) {
  const __m512 a = o.a, a_negative = o.a_negative, b = o.b, r = o.r, max_code = o.max_code;
  const __mmask16 mask = o.mask, residual_mask = o.residual_mask;
  const int64_t out = s.out, residual_step = s.residual_col_step;
  uint8_t* y = s.y + (row * s.cols + col) * out + o.first;
  const uint8_t* residual = s.residual;
  if (Shortcut) residual += row * s.residual_row_step + col * residual_step - o.residual_shift;
  for (int64_t p = 0; p < pixels; ++p, y += out) {
    __m512 t = b;
    if (TwoStep) t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative[p]), a_negative, t);
    t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc[p]), a, t);
    if (Shortcut) {  // channels that the shortcut lacks are code 0
      const __m128i code = _mm_maskz_loadu_epi8(residual_mask, residual + p * residual_step);
      t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
    }
    t = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), max_code);
    const __m128i code = _mm512_cvtepi32_epi8(
        _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    if (Full) {
      _mm_storeu_si128((__m128i*)y, code);
    } else {
      _mm_mask_storeu_epi8(y, mask, code);
    }
  }
}

/// Stores what is wanted of a tile for one block of 16 outputs.
template <bool TwoStep>
void finish(const LowbitStrip& s, const Outputs& o, Sums acc, Sums negative, int64_t row,
            int64_t col, int64_t pixels) {
  const int64_t at = (row * s.cols + col) * s.out + o.first;
  if (s.acc || s.negative) {
    for (int64_t p = 0; p < pixels; ++p) {
      if (s.acc) _mm512_mask_storeu_epi32(s.acc + at + p * s.out, o.mask, acc[p]);
      if (TwoStep && s.negative) {
        _mm512_mask_storeu_epi32(s.negative + at + p * s.out, o.mask, negative[p]);
      }
    }
  }
  if (!s.y) return;
  const bool full = o.mask == 0xffff;
  const auto store =
      s.residual ? full ? store_codes<TwoStep, true, true> : store_codes<TwoStep, true, false>
      : full ? store_codes<TwoStep, false, true>
                 : store_codes<TwoStep, false, false>;
  store(s, o, acc, negative, row, col, pixels);
}

/// Sums of the taps of Pixels neighbouring pixels, whose windows begin at x. Every third pixel has
/// a pointer of its own, which reaches the next two by scaled indexing: a register for each would
/// spill.
template <int Panels, int Pixels>
inline void multiply(const LowbitStrip& s, const int8_t* panel, const uint8_t* x,
                     __m512i (&acc)[Panels][Pixels]) {
  constexpr int kPointers = (Pixels + 2) / 3;
  const int64_t step_x = s.col_step, panel_bytes = s.panel_bytes, steps = s.run_steps;
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint8_t* at[kPointers];
#pragma GCC unroll 8
    for (int k = 0; k < kPointers; ++k) {
      at[k] = x + s.run_offset[run] + 3 * k * step_x;
      asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
    }
    for (int64_t step = 0; step < steps; ++step) {
      __m512i w[Panels];
#pragma GCC unroll 2
      for (int k = 0; k < Panels; ++k) w[k] = _mm512_load_si512(panel + k * panel_bytes);
#pragma GCC unroll 16
      for (int p = 0; p < Pixels; ++p) {
        int32_t bytes;
        __builtin_memcpy(&bytes, at[p / 3] + p % 3 * step_x, 4);
        const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 2
        for (int k = 0; k < Panels; ++k) acc[k][p] = _mm512_dpbusd_epi32(acc[k][p], v, w[k]);
      }
      panel += 64;
#pragma GCC unroll 8
      for (int k = 0; k < kPointers; ++k) at[k] += 4;
    }
  }
}

/// Pixels neighbouring output pixels from column `col` of row `row`; `block` is the first block of
/// 16 outputs, of which there are Panels (one step) or one (two steps: panels P and N).
template <int Panels, int Pixels, bool TwoStep>
void tile(const LowbitStrip& s, const Outputs* outputs, int64_t block, int64_t row, int64_t col) {
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

  __m512i sums[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) sums[k][p] = acc[k][p];
  }
  if (TwoStep) return finish<true>(s, outputs[0], sums[0], sums[Panels - 1], row, col, Pixels);
  for (int k = 0; k < Panels; ++k) {
    finish<false>(s, outputs[k], sums[k], nullptr, row, col, Pixels);
  }
}

template <int... Pixels>
struct Counts {};

using Tile = void (*)(const LowbitStrip&, const Outputs*, int64_t block, int64_t row, int64_t col);

/// The tile of each number of pixels from 1 to Most, behind an unused first.
template <int Panels, bool TwoStep, class Pixels>
struct Tiles;
template <int Panels, bool TwoStep, int... Pixels>
struct Tiles<Panels, TwoStep, Counts<Pixels...>> {
  static constexpr int most = sizeof...(Pixels);
  static constexpr Tile table[] = {nullptr, tile<Panels, Pixels, TwoStep>...};
};
using UpTo14 = Counts<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;
using UpTo16 = Counts<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>;

template <int Panels>
struct Widths {
  using Type = UpTo14;
};
template <>
struct Widths<1> {
  using Type = UpTo16;
};

/// All output pixels of a strip for the outputs from `block` on. A row is cut into tiles of nearly
/// equal width: one narrow tile would wait for the latency of its few sums.
template <int Panels, bool TwoStep>
void tile_rows(const LowbitStrip& s, int64_t block) {
  using Kind = Tiles<Panels, TwoStep, typename Widths<Panels>::Type>;
  Outputs outputs[2] = {outputs_of(s, block), outputs_of(s, block + 1)};
  const int64_t count = (s.cols + Kind::most - 1) / Kind::most;
  for (int64_t row = 0; row < s.rows; ++row) {
    int64_t col = 0;
    for (int64_t k = count; k > 0; --k) {
      const int64_t pixels = (s.cols - col + k - 1) / k;
      Kind::table[pixels](s, outputs, block, row, col);
      col += pixels;
    }
  }
}

}  // namespace

void lowbit_strip(const LowbitStrip& s) {
  int64_t block = s.first_block;
  if (s.two_step) {
    for (; block < s.end_block; ++block) tile_rows<2, true>(s, block);
    return;
  }
  for (; block + 2 <= s.end_block; block += 2) tile_rows<2, false>(s, block);
  if (block < s.end_block) tile_rows<1, false>(s, block);
}

}  // namespace apprentice::kernels::vnni
