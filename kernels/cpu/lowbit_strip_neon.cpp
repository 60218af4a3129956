// NEON kernel of low-bit convolution, with the dot product of Armv8.2. A register block is up to 4
// panels of 4 outputs by kPixels output pixels; a step multiplies 4 input bytes of a pixel, a lane
// of 16 that were loaded for four steps, with 4 x 4 weights: one sdot a panel.
//
// sdot is signed by signed, so codes enter as x - 128, padding included, and a sum starts at 128
// times the sum of its weights. That is exact.
#include <arm_neon.h>

#include <apprentice/kernels/cpu/lowbit_epilogue_neon_internal.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>

namespace apprentice::kernels::neon {
namespace {

constexpr int kMostPixels = 4;

/// Sums of Panels panels for Pixels neighbouring pixels.
template <int Panels, int Pixels>
using Sums = int32x4_t[Panels][Pixels];

/// Bytes of x as signed numbers, x - 128.
inline int8x16_t as_signed(uint8x16_t x) {
  return vreinterpretq_s8_u8(veorq_u8(x, vdupq_n_u8(0x80)));
}

template <int Lane, int Panels, int Pixels>
inline void add_step(const int8_t* panel, int64_t panel_bytes, const int8x16_t (&x)[Pixels],
                     Sums<Panels, Pixels>& sums) {
#pragma GCC unroll 4
  for (int k = 0; k < Panels; ++k) {
    const int8x16_t w = vld1q_s8(panel + Lane * 16 + k * panel_bytes);
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) {
      sums[k][p] = vdotq_laneq_s32(sums[k][p], w, x[p], Lane);
    }
  }
}

/// Adds the products of all runs; `x` is the first pixel's window.
template <int Panels, int Pixels>
inline void multiply(const LowbitStrip& s, const int8_t* panel, const uint8_t* x,
                     Sums<Panels, Pixels>& sums) {
  int8x16_t v[Pixels];
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint8_t* at = x + s.run_offset[run];
    int64_t left = s.run_steps;
    for (; left >= 4; left -= 4, at += 16, panel += 4 * 16) {
#pragma GCC unroll 4
      for (int p = 0; p < Pixels; ++p) v[p] = as_signed(vld1q_u8(at + p * s.col_step));
      add_step<0>(panel, s.panel_bytes, v, sums);
      add_step<1>(panel, s.panel_bytes, v, sums);
      add_step<2>(panel, s.panel_bytes, v, sums);
      add_step<3>(panel, s.panel_bytes, v, sums);
    }
    for (; left > 0; --left, at += 4, panel += 16) {
#pragma GCC unroll 4
      for (int p = 0; p < Pixels; ++p) {
        uint32_t bytes;
        __builtin_memcpy(&bytes, at + p * s.col_step, 4);
        v[p] = as_signed(vreinterpretq_u8_u32(vdupq_n_u32(bytes)));
      }
      add_step<0>(panel, s.panel_bytes, v, sums);
    }
  }
}

/// Stores what is wanted of channels [4 * block, ...) of one pixel.
template <bool TwoStep>
inline void finish(const LowbitStrip& s, int64_t block, int64_t row, int64_t col, int32x4_t acc,
                   int32x4_t negative) {
  const int64_t first = block * kLanes, left = s.out - first;
  const int64_t at = (row * s.cols + col) * s.out + first;
  if (s.acc) store_sums(s.acc + at, acc, left);
  if (s.acc_f32) store_sums(s.acc_f32 + at, vcvtq_f32_s32(acc), left);
  if (TwoStep && s.negative) store_sums(s.negative + at, negative, left);
  if (!s.y) return;
  float32x4_t t = load_floats(s.b + first, left);
  if (TwoStep) {
    t = vfmsq_f32(t, vcvtq_f32_s32(negative), load_floats(s.a_negative + first, left));
  }
  t = vfmaq_f32(t, vcvtq_f32_s32(acc), load_floats(s.a + first, left));
  if (s.residual) {
    const uint8_t* codes = s.residual + row * s.residual_row_step + col * s.residual_col_step;
    const float32x4_t code = load_codes(codes, first - s.residual_first, s.residual_channels);
    t = vfmaq_f32(t, code, vdupq_n_f32(s.r));
  }
  store_codes(s.y + at, t, s.max_code, left);
}

/// Pixels neighbouring output pixels from column `col` of row `row` by Panels panels, of blocks of
/// outputs from `block` on; of two steps a block has two.
template <int Panels, int Pixels, bool TwoStep>
inline void tile(const LowbitStrip& s, const int8_t* panel, const int32x4_t (&start)[Panels],
                 int64_t block, int64_t row, int64_t col) {
  constexpr int kParts = TwoStep ? 2 : 1;
  Sums<Panels, Pixels> sums;
#pragma GCC unroll 4
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) sums[k][p] = start[k];
  }
  multiply<Panels, Pixels>(s, panel, s.x + row * s.row_step + col * s.col_step, sums);
#pragma GCC unroll 4
  for (int p = 0; p < Pixels; ++p) {
#pragma GCC unroll 4
    for (int k = 0; k < Panels; k += kParts) {
      finish<TwoStep>(s, block + k / kParts, row, col + p, sums[k][p], sums[k + kParts - 1][p]);
    }
  }
}

template <int Panels, bool TwoStep>
void tile_rows(const LowbitStrip& s, int64_t block) {
  const int8_t* panel = s.panels + block * (TwoStep ? 2 : 1) * s.panel_bytes;
  int32x4_t start[Panels];
#pragma GCC unroll 4
  for (int k = 0; k < Panels; ++k) {
    int32x4_t sum = vdupq_n_s32(0);
    for (int64_t byte = 0; byte < s.panel_bytes; byte += 16) {
      sum = vdotq_s32(sum, vld1q_s8(panel + k * s.panel_bytes + byte), vdupq_n_s8(1));
    }
    start[k] = vshlq_n_s32(sum, 7);
  }
  for (int64_t row = 0; row < s.rows; ++row) {
    int64_t col = 0;
    for (; col + kMostPixels <= s.cols; col += kMostPixels) {
      tile<Panels, kMostPixels, TwoStep>(s, panel, start, block, row, col);
    }
    for (; col < s.cols; ++col) tile<Panels, 1, TwoStep>(s, panel, start, block, row, col);
  }
}

}  // namespace

void lowbit_strip(const LowbitStrip& s) {
  int64_t block = s.first_block;
  if (s.two_step) {
    for (; block + 2 <= s.end_block; block += 2) tile_rows<4, true>(s, block);
    if (block < s.end_block) tile_rows<2, true>(s, block);
    return;
  }
  for (; block + 4 <= s.end_block; block += 4) tile_rows<4, false>(s, block);
  for (; block < s.end_block; ++block) tile_rows<1, false>(s, block);
}

}  // namespace apprentice::kernels::neon
