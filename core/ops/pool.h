#pragma once

#include <array>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Poolings of f32, f64 or bf16. What they give has the dtype of x, but for global_avg_pool2d.

/// Window of a pooling; pairs are (height, width).
struct Pool2dOptions {
  std::array<int64_t, 2> kernel_size{2, 2};
  std::array<int64_t, 2> stride{2, 2};
  std::array<int64_t, 2> padding{0, 0};
  bool count_include_pad = true;  ///< average: padding counts in the divisor
};

/// The largest element of each window: x [n, h, w, c] -> [n, p, q, c] with
/// p = floor((h + 2 padding - kernel_size) / stride) + 1; padding never wins. The gradient goes to
/// the first largest element of a window. ShapeError unless x has 4 axes and a window fits.
Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options);
/// The mean of each window, of kernel_size elements or, without count_include_pad, of those in x.
Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options);
/// Windows [floor(i h / out_h), ceil((i+1) h / out_h)): any size -> [n, out_h, out_w, c].
Tensor adaptive_avg_pool2d(const Tensor& x, int64_t out_h, int64_t out_w);
Tensor adaptive_max_pool2d(const Tensor& x, int64_t out_h, int64_t out_w);
/// Mean over height and width: [n, h, w, c] -> [n, c]; f32 of bf16.
Tensor global_avg_pool2d(const Tensor& x);
/// Parameter-free shortcut, option A of He et al. 2015 (section 4.2): every `stride`-th pixel, the
/// absent channels zero, half of them (rounded down) before and the rest after. [n, h, w, c] ->
/// [n, ceil(h/s), ceil(w/s), out_channels].
Tensor shortcut_a(const Tensor& x, int64_t out_channels, int64_t stride);

}  // namespace apprentice
