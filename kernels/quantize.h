#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/number.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Uniform codes: codes = clamp(rint(x * inv_step), min_code, max_code), half to even.
///   x, codes [n]; codes are integers held in T; codes may be x. NaN becomes min_code.
/// Exact: all kernels give the same codes.
template <class T>
struct QuantizeUniform {
  static constexpr std::string_view name = "quantize_uniform", types = types_of<T>;
  struct Args {
    View1<const T> x;
    View1<T> codes;
    Number<T> inv_step = 1;
    T min_code = 0, max_code = 255;
  };
};

/// Clipped straight-through gradient: grad_x = low <= x <= high ? grad_codes * scale : 0. With
/// scale = inv_step it is that of the codes, with scale = 1 that of step * codes.
///   x, grad_codes, grad_x [n]; grad_x may be grad_codes
template <class T>
struct QuantizeUniformBackward {
  static constexpr std::string_view name = "quantize_uniform_backward", types = types_of<T>;
  struct Args {
    View1<const T> x, grad_codes;
    View1<T> grad_x;
    Number<T> low = 0, high = 1, scale = 1;
  };
};

/// mean[i] = sum_j |x[i,j]| / k,  max[i] = max_j |x[i,j]|; sums in double.
///   x [rows, k], mean [rows] or absent, max [rows] or absent
template <class T>
struct AbsStatistics {
  static constexpr std::string_view name = "abs_statistics", types = types_of<T>;
  struct Args {
    View2<const T> x;
    View1<T> mean, max;
  };
};

/// Ternary codes: +1 where w > t, -1 where w < -t, else 0, t = T(factor * threshold) worked out in
/// double, and what a scale needs:
///   positive_mean[i] = mean of w where +1, negative_mean[i] = mean of -w where -1,
///   nonzero_mean[i] = mean of |w| where not 0   (each 0 where there is none; sums in double)
///   w, codes [rows, k], threshold [rows]; the means [rows] or absent
template <class T>
struct Ternarize {
  static constexpr std::string_view name = "ternarize", types = types_of<T>;
  struct Args {
    View2<const T> w;
    View1<const T> threshold;
    View2<T> codes;
    View1<T> positive_mean, negative_mean, nonzero_mean;
    double factor = 1;
  };
};

/// Gradients of trained ternary quantization, wq = positive where code +1, -negative where -1:
///   grad_positive[i] = sum of grad_wq where +1,  grad_negative[i] = -(sum of grad_wq where -1)
///   grad_w = grad_wq * (positive, 1 or negative, where the code is +1, 0 or -1)
///   codes, grad_wq, grad_w [rows, k]; positive, negative and their gradients [rows]; sums in
///   double
/// Source: Zhu et al. 2017, arXiv:1612.01064, eq. 7 and 8, with the minus that eq. 7 leaves out.
template <class T>
struct TrainedTernaryBackward {
  static constexpr std::string_view name = "trained_ternary_backward", types = types_of<T>;
  struct Args {
    View2<const T> codes, grad_wq;
    View1<const T> positive, negative;
    View2<T> grad_w;
    View1<T> grad_positive, grad_negative;
  };
};

}  // namespace apprentice::kernels
