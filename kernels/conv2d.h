#pragma once

#include <array>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/precision.h>
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
/// Sizes must fit; no kernel checks them. Sums in T in any order. `exact` asks for a direct
/// algorithm, by which sums of integers below 2^24 (f32) are exact (docs/numerics.md, rule 1);
/// without it 3x3 windows may go by Winograd's F(4x4, 3x3), which rounds more
/// (winograd_error_bound). `precision` allows to round x and w first.
/// Weights and bias are of T, x of X, y and residual of Y: T, or bf16 beside T = f32
/// (kernels/types.h), where y is what f32 would be, rounded once; a kernel that stores the sums
/// before it adds bias and residual rounds those, too. An exact one has Y = T.
template <class T, class X = T, class Y = X>
struct Conv2d {
  static constexpr std::string_view name = "conv2d", types = layer_types_of<T, X, Y>;
  struct Args {
    View4<const X> x;
    View4<const T> w;
    View1<const T> bias;
    View4<const Y> residual;
    View4<Y> y;
    Conv2dGeometry geometry;
    bool relu = false;
    bool exact = true;  ///< sums of integers below 2^24 are exact
    Precision precision = Precision::f32;
  };
  /// Largest |y - exact| of one output, before it is rounded to Y, by a direct algorithm: `taps` =
  /// kh*kw*ci products and up to two more terms, abs_sum the sum of the terms' absolute values
  /// (Higham 2002, section 3.1).
  static double error_bound(int64_t taps, double abs_sum) {
    return double(taps + 3) * epsilon_of<T> * abs_sum;
  }
};

/// Largest error of one output of Winograd's F(4x4, 3x3) on `channels` channels with |x| <= max_x
/// and |w| <= max_w, with the points 0, +-5/8, +-3/2 and infinity that oneDNN uses. In y = A'[(G w
/// G') o (B' x B)]A, taken along both axes, errors of one rounding are at most epsilon times
///   (|A'| (|G| 1 o |B'| 1))^2 channels max_x max_w <= 23.75^2 channels max_x max_w
/// and one output passes at most `channels` additions and 32 roundings of the transforms (Barabasz
/// et al. 2018, arXiv:1803.10986, section 3). 23.75 is the largest of the four rows of one axis.
template <class T>
double winograd_error_bound(int64_t channels, double max_x, double max_w) {
  constexpr double kGrowth = 23.75 * 23.75;
  return double(channels + 32) * epsilon_of<T> * kGrowth * double(channels) * max_x * max_w;
}

/// Gradient of a convolution by its input:
///   grad_x[n,h,w,g*ci+i] = sum over all (o in group g, p, q, r, s) that read it of
///                          grad_y[n,p,q,o] w[o,r,s,i]
///   grad_y [n, p, q, out], w [out, kh, kw, c / groups], grad_x [n, h, w, c] overwritten
/// Error bound: Conv2d's, with taps = kh*kw*(out/groups), or winograd_error_bound with `out`
/// channels. Types as the forward's: grad_x of X, grad_y of Y.
template <class T, class X = T, class Y = X>
struct Conv2dBackwardData {
  static constexpr std::string_view name = "conv2d_backward_data", types = layer_types_of<T, X, Y>;
  struct Args {
    View4<const Y> grad_y;
    View4<const T> w;
    View4<X> grad_x;
    Conv2dGeometry geometry;
    Precision precision = Precision::f32;
  };
};

/// Gradients of a convolution by its weight and, if wanted, its bias:
///   grad_w[o,r,s,i] = sum_{n,p,q} grad_y[n,p,q,o] x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, g*ci+i]
///   grad_bias[o] = sum_{n,p,q} grad_y[n,p,q,o]
///   x [n, h, w, c], grad_y [n, p, q, out], grad_w [out, kh, kw, c / groups] overwritten,
///   grad_bias [out] overwritten, or absent
/// Error bound: Conv2d's, with taps = n*p*q. Types as the forward's: x of X, grad_y of Y, gradients
/// of T.
template <class T, class X = T, class Y = X>
struct Conv2dBackwardWeight {
  static constexpr std::string_view name = "conv2d_backward_weight",
                                    types = layer_types_of<T, X, Y>;
  struct Args {
    View4<const X> x;
    View4<const Y> grad_y;
    View4<T> grad_w;
    View1<T> grad_bias;
    Conv2dGeometry geometry;
    Precision precision = Precision::f32;
  };
};

}  // namespace apprentice::kernels
