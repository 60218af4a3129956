#pragma once

#include <array>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// What is known of inputs that hold integer codes. Kernels rely on it.
struct Conv2dCodes {
  int64_t max_x = 0;       ///< x holds integers 0 to max_x; 0: anything
  int64_t max_weight = 0;  ///< weight holds integers of size max_weight at most; 0: anything
  Tensor x_bytes{};        ///< undefined, or the integers of x in u8
};

/// How a convolution walks; pairs are (height, width).
struct Conv2dOptions {
  std::array<int64_t, 2> stride{1, 1};
  std::array<int64_t, 2> padding{0, 0};
  std::array<int64_t, 2> dilation{1, 1};
  int64_t groups = 1;
  /// Sums of integers below 2^24 are exact: by a direct algorithm, kept in f32. Integers above 2^8
  /// need `codes` for that beside a precision of fewer bits: with them the factors keep the bits
  /// that codes need, without them they are rounded as real numbers are.
  /// Without `exact` y may be bf16 (core/precision.h), and the forward of 3x3 windows may go by
  /// Winograd's algorithm: faster, and its rounding errors are larger (kernels/conv2d.h). Gradients
  /// of x always may.
  bool exact = true;
  /// Codes of x up to 255 and of weight up to 7 may go forward by the low-bit kernels, where a
  /// vectorised one takes the problem: the same sums, as integers are exact either way.
  Conv2dCodes codes{};
};

/// y[n,p,q,o] = bias[o] + sum_{r,s,i} x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, i] w[o,r,s,i],
/// zero outside x.
///   x [n, h, w, c], weight [out, kh, kw, c/groups], bias [out] or undefined -> y [n, p, q, out]
/// x is f32, f64 or bf16, weight and bias have its dtype, f32 beside bf16. y has that of weight, or
/// is stored as activations are (core/precision.h) unless `exact`. ShapeError if channels, groups
/// or sizes do not fit.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
              const Conv2dOptions& options = {});

/// The same for inference, outside the graph: relu(conv2d(x, weight, bias) + residual), in one
/// pass. `residual` [n, p, q, out] or undefined, converted to the dtype of y where one is bf16.
Tensor conv2d_fused(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Conv2dOptions& options, const Tensor& residual, bool relu);

}  // namespace apprentice
