#pragma once

#include <cstdint>

namespace apprentice::kernels {

/// Where the sums of a low-bit convolution go: whole tensors. Plain memory only, as files compiled
/// for one instruction set see nothing else.
struct LowbitOutputs {
  int64_t out_rows, out_cols, out;  ///< of an image
  bool two_step;
  int32_t *acc, *negative;  ///< [images, out_rows, out_cols, out] or null
  float* acc_f32;           ///< the same or null
  uint8_t* y;               ///< the same or null
  const float *a, *a_negative, *b;
  float r, max_code;
  const uint8_t* residual;                                            ///< shortcut codes or null
  int64_t residual_image_step, residual_row_step, residual_col_step;  ///< bytes an output pixel
  int64_t residual_first, residual_channels;  ///< channel `residual_first` of y is its channel 0
};

/// An output pixel.
struct OutputPixel {
  int64_t image, row, col;
};

}  // namespace apprentice::kernels
