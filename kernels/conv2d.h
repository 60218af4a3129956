#pragma once

#include <array>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// How a convolution walks; pairs are (height, width).
struct Conv2dGeometry {
  std::array<int64_t, 2> stride{1, 1};
  std::array<int64_t, 2> padding{0, 0};
  std::array<int64_t, 2> dilation{1, 1};
  int64_t groups = 1;

  /// Size of the output along an axis (0 height, 1 width); at most 0 if the window does not fit.
  int64_t out_size(int axis, int64_t in_size, int64_t kernel_size) const {
    const auto a = size_t(axis);
    const int64_t reach = dilation[a] * (kernel_size - 1) + 1;
    const int64_t room = in_size + 2 * padding[a] - reach;
    return room < 0 ? 0 : room / stride[a] + 1;
  }
};

/// Convolution (cross-correlation) with all that may follow it:
///   y[n,p,q,o] = relu?( bias[o] + sum_{r,s,i} x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, g*ci+i] w[o,r,s,i]
///                       + residual[n,p,q,o] )
///   with x = 0 outside, ci = c / groups, g = o / (out / groups)
///   x         [n, h, w, c]
///   w         [out, kh, kw, c / groups]
///   bias      [out], or absent
///   residual  [n, p, q, out], or absent; y itself costs the fast kernels
///   y         [n, p, q, out], overwritten; must not alias x or w
/// Sizes must fit; no kernel checks them. Sums in T in any order, by a direct algorithm (never
/// Winograd), so sums of integers below 2^24 (f32) are exact (docs/numerics.md, rule 1).
template <class T>
struct Conv2d {
  static constexpr std::string_view name = "conv2d", types = types_of<T>;
  struct Args {
    View4<const T> x, w;
    View1<const T> bias;
    View4<const T> residual;
    View4<T> y;
    Conv2dGeometry geometry;
    bool relu = false;
  };
  /// Largest |y - exact| of one output: `taps` = kh*kw*ci products and up to two more terms,
  /// abs_sum the sum of the terms' absolute values (Higham 2002, section 3.1).
  static double error_bound(int64_t taps, double abs_sum) {
    return double(taps + 3) * epsilon_of<T> * abs_sum;
  }
};

/// Gradient of a convolution by its input:
///   grad_x[n,h,w,g*ci+i] = sum over all (o in group g, p, q, r, s) that read it of
///                          grad_y[n,p,q,o] w[o,r,s,i]
///   grad_y [n, p, q, out], w [out, kh, kw, c / groups], grad_x [n, h, w, c] overwritten
/// Error bound: Conv2d's, with taps = kh*kw*(out/groups).
template <class T>
struct Conv2dBackwardData {
  static constexpr std::string_view name = "conv2d_backward_data", types = types_of<T>;
  struct Args {
    View4<const T> grad_y, w;
    View4<T> grad_x;
    Conv2dGeometry geometry;
  };
};

/// Gradients of a convolution by its weight and, if wanted, its bias:
///   grad_w[o,r,s,i] = sum_{n,p,q} grad_y[n,p,q,o] x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, g*ci+i]
///   grad_bias[o] = sum_{n,p,q} grad_y[n,p,q,o]
///   x [n, h, w, c], grad_y [n, p, q, out], grad_w [out, kh, kw, c / groups] overwritten,
///   grad_bias [out] overwritten, or absent
/// Error bound: Conv2d's, with taps = n*p*q.
template <class T>
struct Conv2dBackwardWeight {
  static constexpr std::string_view name = "conv2d_backward_weight", types = types_of<T>;
  struct Args {
    View4<const T> x, grad_y;
    View4<T> grad_w;
    View1<T> grad_bias;
    Conv2dGeometry geometry;
  };
};

}  // namespace apprentice::kernels
