#pragma once

#include <cstdint>

namespace apprentice::kernels {

/// Some output rows of one image: what a SIMD kernel computes in one call. Plain memory only, as
/// files compiled for one instruction set see nothing else.
///
/// Windows may reach over the edge of the image in one way only, for kernels that ask for it
/// (`edges` of lowbit_conv2d.cpp): whole rows of taps, and the first tap of the first or the last
/// tap of the last pixel of a row. Those taps are left out. Else all bounds and padding are
/// resolved.
///
/// The taps of an output pixel are `runs` stretches of `run_steps` groups of 4 input bytes:
///   acc[o] = sum_{run, step, b<4} x_pixel[run_offset[run] + 4*step + b] * t[o, ...]
/// Weights are s8 panels of `lanes` outputs (16 for AVX-512, 8 for AVX2, 4 for NEON), zero behind
/// the last: [block][P, N if two_step][run][step][lane][4].
struct LowbitStrip {
  const uint8_t* x;    ///< first byte of the first pixel's window
  int64_t row_step;    ///< bytes from a window to that of the next output row
  int64_t col_step;    ///< bytes from a window to that of the next output column
  int64_t rows, cols;  ///< output pixels
  const int64_t* run_offset;
  int64_t runs, run_steps;

  bool edges;                             ///< a run is a row of taps, each of tap_steps
  int64_t first_row, row_stride, height;  ///< of the image: input row of run 0 of row 0
  int64_t tap_steps;
  bool left, right;  ///< the first pixel of a row lacks its first tap, the last one its last

  const int8_t* panels;
  int64_t panel_bytes;             ///< of one panel
  int64_t first_block, end_block;  ///< of outputs to compute
  int64_t out;                     ///< channels
  bool two_step;
  int64_t flush_steps;  ///< steps whose products of pairs fit an s16 sum

  int32_t *acc, *negative;  ///< [rows, cols, out] or null
  float* acc_f32;           ///< [rows, cols, out] or null
  uint8_t* y;               ///< [rows, cols, out] or null
  const float *a, *a_negative, *b;
  float r, max_code;
  const uint8_t* residual;  ///< the first pixel's shortcut codes or null
  int64_t residual_row_step, residual_col_step;
  int64_t residual_first, residual_channels;  ///< channel `residual_first` of y is its channel 0
};

namespace vnni {
void lowbit_strip(const LowbitStrip& strip);
}
namespace avx2 {
void lowbit_strip(const LowbitStrip& strip);
}
namespace neon {
void lowbit_strip(const LowbitStrip& strip);
}

}  // namespace apprentice::kernels
