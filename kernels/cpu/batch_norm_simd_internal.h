#pragma once

#include <apprentice/kernels/cpu/simd_table_internal.h>

namespace apprentice::kernels {

// Blocks are `rows` dense rows of `width` columns; per-column arrays have `width` elements. Columns
// are independent: the caller may join rows of few channels into wide ones.

struct NormalizeBlock {
  const float *x, *residual;  ///< residual: null if none
  float* y;
  unsigned char* bytes;  ///< null, or the codes again
  const float *mean, *scale, *beta;
  float residual_scale;
  bool relu;
  float inv_step, max_code;  ///< inv_step: 0 where y is no codes
  int64_t rows, width;
};

struct GradientBlock {
  const float *x, *y, *grad_y;    ///< y: null, or what the ReLU gave
  float *grad_x, *grad_residual;  ///< null where not wanted
  const float *mean, *of_d, *of_x, *constant;
  const float *scale, *beta;  ///< null, or: the ReLU took t = (x - mean) * scale + beta
  const float* residual;      ///< null, or: of t, times residual_scale
  float residual_scale;
  float inv_step, most;  ///< inv_step: 0, or grad_y is that of codes of t up to `most`
  int64_t rows, width;
};

struct BatchNormSimd {
  /// sum[j] = sum_i x[i,j]
  void (*column_sums)(const float* x, int64_t rows, int64_t width, float* sum);
  /// sum[j] = sum_i (x[i,j] - center[j]), squares[j] = sum_i (x[i,j] - center[j])^2
  void (*centered_sums)(const float* x, const float* center, int64_t rows, int64_t width,
                        float* sum, float* squares);
  /// y = relu?( (x - mean) * scale + beta + residual_scale * residual ), or codes of it
  void (*normalize)(const NormalizeBlock&);
  /// With d = grad_y where the ReLU and the quantizer let pass: sum[j] = sum_i d, products[j] =
  /// sum_i d (x - mean).
  void (*gradient_sums)(const GradientBlock&, float* sum, float* products);
  /// grad_x = of_d * d + of_x * (x - mean) + constant, grad_residual = residual_scale * d
  void (*gradients)(const GradientBlock&);
};

APPRENTICE_SIMD_TABLE(BatchNormSimd, batch_norm)

}  // namespace apprentice::kernels
