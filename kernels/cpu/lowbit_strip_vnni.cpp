// AVX-512-VNNI kernel of low-bit convolution. A register block is 1 or 2 panels of 16 outputs by
// kPixels output pixels; a step broadcasts 4 input bytes of a pixel (load port only) and multiplies
// them with 16 x 4 weights, one vpdpbusd each: u8 x s8 into s32, which cannot saturate. With one
// panel loads would be the limit: with 16 input channels a broadcast serves all three pixels that
// it is a tap of.
#include <apprentice/kernels/cpu/lowbit_epilogue_vnni_internal.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;
/// Bytes that weights are fetched ahead: those of large layers come from memory or the last cache
/// level.
constexpr int64_t kAhead = 4096;

/// 16 output channels from `first` on: constants of the epilogue, channels that there are, and
/// those that the shortcut has.
struct Outputs {
  __m512 a, a_negative, b, r, max_code;
  __mmask16 mask, residual_mask;
  int64_t first, residual_shift;
  bool bounded;  ///< t of the epilogue fits s32, so that it may be clamped after its conversion
};

/// Is |t| below 2^30 for all sums that the taps allow?
inline bool is_bounded(const LowbitStrip& s, const Outputs& o) {
  const __m512 most_sum = _mm512_set1_ps(float(s.runs * s.run_steps * 4 * 255 * 8));
  const __m512 most_shortcut = _mm512_set1_ps(255);
  __m512 most = _mm512_fmadd_ps(_mm512_abs_ps(o.a), most_sum, _mm512_abs_ps(o.b));
  most = _mm512_fmadd_ps(_mm512_abs_ps(o.r), most_shortcut, most);
  return _mm512_cmp_ps_mask(most, _mm512_set1_ps(0x1p30f), _CMP_LT_OQ) == 0xffff;
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
  o.bounded = is_bounded(s, o);
  return o;
}

/// Sums of a tile: [panel][pixel] of 16 s32.
using Sums = const __m512i*;

/// Output pixels of a tile: `pixels` of them from (row, col) on.
struct Place {
  int64_t row, col, pixels;
};

/// The shortcut of the first pixel at channel `first` of y; only what residual_mask tells is there.
inline const uint8_t* shortcut_of(const LowbitStrip& s, const Outputs& o, const Place& at) {
  return s.residual + at.row * s.residual_row_step + at.col * s.residual_col_step -
         o.residual_shift;
}

/// Code of one pixel, not narrowed yet; if Bounded not clamped either.
template <bool TwoStep, bool Shortcut, bool Bounded = false>
inline __m512i code_of(const Outputs& o, __m512i acc, __m512i negative, const uint8_t* shortcut) {
  __m512 t = o.b;
  if (TwoStep) t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), o.a_negative, t);
  t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc), o.a, t);
  if (Shortcut) {  // channels that the shortcut lacks are code 0
    t = add_codes(_mm_maskz_loadu_epi8(o.residual_mask, shortcut), o.r, t);
  }
  if (Bounded) {
    return _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  return round_to_code(t, o.max_code);
}

/// Codes of one block of outputs, of which some may not exist.
template <bool TwoStep, bool Shortcut>
void store_codes(const LowbitStrip& s, const Outputs& o, Sums acc, Sums negative, const Place& at) {
  uint8_t* y = s.y + (at.row * s.cols + at.col) * s.out + o.first;
  const uint8_t* shortcut = Shortcut ? shortcut_of(s, o, at) : nullptr;
  for (int64_t p = 0; p < at.pixels; ++p, y += s.out) {
    const __m512i code = code_of<TwoStep, Shortcut>(o, acc[p], TwoStep ? negative[p] : acc[p],
                                                    shortcut + p * s.residual_col_step);
    _mm_mask_storeu_epi8(y, o.mask, narrow(code));
  }
}

/// Codes of two whole blocks, two pixels at a time.
template <bool Shortcut, bool Bounded>
void store_pairs(const LowbitStrip& s, const Outputs* o, Sums acc, Sums second, const Place& at) {
  uint8_t* y = s.y + (at.row * s.cols + at.col) * s.out + o[0].first;
  const uint8_t* shortcut[2] = {};
  for (int k = 0; k < 2 && Shortcut; ++k) shortcut[k] = shortcut_of(s, o[k], at);
  const auto code = [&](int k, int64_t p) {
    return code_of<false, Shortcut, Bounded>(o[k], (k == 0 ? acc : second)[p], acc[p],
                                             shortcut[k] + p * s.residual_col_step);
  };
  const __m512i max_code = _mm512_set1_epi8(char(int(s.max_code)));
  for (int64_t p = 0; p < at.pixels; p += 2, y += 2 * s.out) {
    const int64_t next = p + 1 < at.pixels ? p + 1 : p;
    __m512i bytes = narrow(code(0, p), code(1, p), code(0, next), code(1, next));
    if (Bounded) bytes = _mm512_min_epu8(bytes, max_code);
    _mm256_storeu_si256((__m256i*)y, _mm512_castsi512_si256(bytes));
    if (next == p) return;
    _mm256_storeu_si256((__m256i*)(y + s.out), _mm512_extracti64x4_epi64(bytes, 1));
  }
}

/// Codes of one whole block that is all there is, four pixels at a time.
template <bool Shortcut, bool Bounded>
void store_fours(const LowbitStrip& s, const Outputs& o, Sums acc, const Place& at) {
  uint8_t* y = s.y + (at.row * s.cols + at.col) * kLanes;
  const uint8_t* shortcut = Shortcut ? shortcut_of(s, o, at) : nullptr;
  const auto code = [&](int64_t p) {
    const int64_t inside = p < at.pixels ? p : at.pixels - 1;
    return code_of<false, Shortcut, Bounded>(o, acc[inside], acc[inside],
                                             shortcut + inside * s.residual_col_step);
  };
  const __m512i max_code = _mm512_set1_epi8(char(int(s.max_code)));
  for (int64_t p = 0; p < at.pixels; p += 4, y += 4 * kLanes) {
    __m512i bytes = narrow(code(p), code(p + 1), code(p + 2), code(p + 3));
    if (Bounded) bytes = _mm512_min_epu8(bytes, max_code);
    const int64_t left = (at.pixels - p) * kLanes;
    const __mmask64 mask = left >= 64 ? ~__mmask64(0) : (__mmask64(1) << left) - 1;
    _mm512_mask_storeu_epi8(y, mask, bytes);
  }
}

inline void store_acc(const LowbitStrip& s, const Outputs& o, Sums acc, int32_t* to,
                      const Place& at) {
  if (!to) return;
  to += (at.row * s.cols + at.col) * s.out + o.first;
  for (int64_t p = 0; p < at.pixels; ++p, to += s.out) {
    _mm512_mask_storeu_epi32(to, o.mask, acc[p]);
  }
}

inline void store_acc_f32(const LowbitStrip& s, const Outputs& o, Sums acc, const Place& at) {
  if (!s.acc_f32) return;
  float* to = s.acc_f32 + (at.row * s.cols + at.col) * s.out + o.first;
  for (int64_t p = 0; p < at.pixels; ++p, to += s.out) {
    _mm512_mask_storeu_ps(to, o.mask, _mm512_cvtepi32_ps(acc[p]));
  }
}

/// Stores what is wanted of a tile of two panels: two blocks of outputs, or P and N of one.
template <bool TwoStep>
void finish_two(const LowbitStrip& s, const Outputs* o, Sums first, Sums second, const Place& at) {
  store_acc(s, o[0], first, s.acc, at);
  store_acc(s, o[TwoStep ? 0 : 1], second, TwoStep ? s.negative : s.acc, at);
  store_acc_f32(s, o[0], first, at);
  if (!TwoStep) store_acc_f32(s, o[1], second, at);
  if (!s.y) return;
  if constexpr (TwoStep) {
    const auto store = s.residual ? store_codes<true, true> : store_codes<true, false>;
    store(s, o[0], first, second, at);
  } else if (o[1].mask == 0xffff) {
    const bool bounded = o[0].bounded && o[1].bounded;
    const auto store = s.residual ? bounded ? store_pairs<true, true> : store_pairs<true, false>
                       : bounded ? store_pairs<false, true>
                                  : store_pairs<false, false>;
    store(s, o, first, second, at);
  } else {
    const auto store = s.residual ? store_codes<false, true> : store_codes<false, false>;
    store(s, o[0], first, nullptr, at);
    store(s, o[1], second, nullptr, at);
  }
}

void finish_one(const LowbitStrip& s, const Outputs& o, Sums acc, const Place& at) {
  store_acc(s, o, acc, s.acc, at);
  store_acc_f32(s, o, acc, at);
  if (!s.y) return;
  if (s.out == kLanes) {
    const auto store = s.residual  ? o.bounded ? store_fours<true, true> : store_fours<true, false>
                        : o.bounded ? store_fours<false, true>
                                   : store_fours<false, false>;
    return store(s, o, acc, at);
  }
  const auto store = s.residual ? store_codes<false, true> : store_codes<false, false>;
  store(s, o, acc, nullptr, at);
}

/// Where the windows of a tile's pixels lie, and which of their taps.
struct Window {
  const uint8_t* x;            ///< of the first pixel
  int64_t first_run, end_run;  ///< those in the image
  bool left, right;            ///< the first pixel lacks its first tap, the last its last
};

/// Adds `steps` steps to the sums of pixels [Begin, End). Every third pixel has a pointer of its
/// own, which reaches the next two by scaled indexing: a register for each would spill.
template <int Begin, int End, int Panels, int Pixels>
__attribute__((always_inline)) inline void add_steps(const int8_t* panel, int64_t panel_bytes,
                                                     const uint8_t* x, int64_t step_x,
                                                     int64_t steps,
                                                     __m512i (&acc)[Panels][Pixels]) {
  constexpr int kPointers = (Pixels + 2) / 3;
  const uint8_t* at[kPointers];
#pragma GCC unroll 8
  for (int k = 0; k < kPointers; ++k) {
    at[k] = x + 3 * k * step_x;
    asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
  }
  for (int64_t step = 0; step < steps; ++step) {
    __m512i w[Panels];
#pragma GCC unroll 2
    for (int k = 0; k < Panels; ++k) {
      w[k] = _mm512_load_si512(panel + k * panel_bytes);
      _mm_prefetch(panel + k * panel_bytes + kAhead, _MM_HINT_T0);
    }
#pragma GCC unroll 16
    for (int p = Begin; p < End; ++p) {
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

/// Sums of the taps of Pixels neighbouring pixels.
template <int Panels, int Pixels>
inline void multiply(const LowbitStrip& s, const int8_t* panel, const Window& w,
                     __m512i (&acc)[Panels][Pixels]) {
  const int64_t step_x = s.col_step, panel_bytes = s.panel_bytes, tap = s.tap_steps;
  panel += w.first_run * s.run_steps * 64;
  for (int64_t run = w.first_run; run < w.end_run; ++run) {
    const uint8_t* x = w.x + s.run_offset[run];
    int64_t steps = s.run_steps;
    if (w.left) {
      add_steps<1, Pixels>(panel, panel_bytes, x, step_x, tap, acc);
      panel += tap * 64, x += tap * 4, steps -= tap;
    }
    if (w.right) steps -= tap;
    add_steps<0, Pixels>(panel, panel_bytes, x, step_x, steps, acc);
    panel += steps * 64, x += steps * 4;
    if (w.right) {
      add_steps<0, Pixels - 1>(panel, panel_bytes, x, step_x, tap, acc);
      panel += tap * 64;
    }
  }
}

/// The same with 3 taps a row, stride 1 and 16 input channels: column by column of the input, each
/// of which is the third, second and first tap of three pixels.
template <int Pixels>
inline void multiply_16(const LowbitStrip& s, const int8_t* panel, const Window& w,
                        __m512i (&acc)[1][Pixels]) {
  alignas(16) static constexpr uint8_t zeros[16] = {};
  for (int64_t run = w.first_run; run < w.end_run; ++run) {
    const uint8_t* x = w.x + s.run_offset[run];
    const int8_t* weights = panel + run * 12 * 64;
    const uint8_t* first = w.left ? zeros : x;
    const uint8_t* last = w.right ? zeros : x + (Pixels + 1) * 16;
    for (int64_t step = 0; step < 4; ++step, weights += 64) {
      __m512i t[3];
#pragma GCC unroll 3
      for (int k = 0; k < 3; ++k) t[k] = _mm512_load_si512(weights + k * 4 * 64);
#pragma GCC unroll 18
      for (int col = 0; col < Pixels + 2; ++col) {
        const uint8_t* from = col == 0 ? first : col == Pixels + 1 ? last : x + col * 16;
        int32_t bytes;
        __builtin_memcpy(&bytes, from + step * 4, 4);
        const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 3
        for (int k = 2; k >= 0; --k) {
          const int p = col - k;
          if (p >= 0 && p < Pixels) acc[0][p] = _mm512_dpbusd_epi32(acc[0][p], v, t[k]);
        }
      }
    }
  }
}

template <int Panels, int Pixels>
inline Window window_of(const LowbitStrip& s, const Place& at) {
  Window w{s.x + at.row * s.row_step + at.col * s.col_step, 0, s.runs, false, false};
  if (!s.edges) return w;
  const int64_t top = s.first_row + at.row * s.row_stride;  // input row of run 0
  if (top < 0) w.first_run = -top < s.runs ? -top : s.runs;
  if (top + s.runs > s.height) w.end_run = s.height - top;
  w.left = s.left && at.col == 0;
  w.right = s.right && at.col + Pixels == s.cols;
  return w;
}

/// Pixels neighbouring output pixels from column `col` of row `row`; `block` is the first block of
/// 16 outputs, of which there are Panels (one step) or one (two steps: panels P and N).
template <int Panels, int Pixels, bool TwoStep>
void tile(const LowbitStrip& s, const Outputs* outputs, int64_t block, int64_t row, int64_t col) {
  const Place at = {row, col, Pixels};
  __m512i acc[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) acc[k][p] = _mm512_setzero_si512();
  }
  const int8_t* panel = s.panels + block * (TwoStep ? 2 : 1) * s.panel_bytes;
  const Window window = window_of<Panels, Pixels>(s, at);
  if constexpr (Panels == 1) {
    const bool sixteen = s.edges && s.tap_steps == 4 && s.run_steps == 12 && s.col_step == 16;
    if (sixteen) {
      multiply_16<Pixels>(s, panel, window, acc);
    } else {
      multiply<Panels, Pixels>(s, panel, window, acc);
    }
  } else {
    multiply<Panels, Pixels>(s, panel, window, acc);
  }

  __m512i sums[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 16
    for (int p = 0; p < Pixels; ++p) sums[k][p] = acc[k][p];
  }
  if constexpr (Panels == 2) {
    finish_two<TwoStep>(s, outputs, sums[0], sums[1], at);
  } else {
    finish_one(s, outputs[0], sums[0], at);
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
