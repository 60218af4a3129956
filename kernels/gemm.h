#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/precision.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Matrix product: c[i,j] = (accumulate ? c[i,j] : 0) + bias[j] + sum_l op(a)[i,l] op(b)[l,j]
///   a     [m, k], or [k, m] if transpose_a
///   b     [k, n], or [n, k] if transpose_b
///   bias  [n], or absent
///   c     [m, n]; must not alias a or b
/// Sums in T in any order.
template <class T>
struct Gemm {
  static constexpr std::string_view name = "gemm", types = types_of<T>;
  struct Args {
    View2<const T> a, b;
    View1<const T> bias;
    View2<T> c;
    bool transpose_a = false, transpose_b = false;
    bool accumulate = false;
    Precision precision = Precision::f32;  ///< to which a and b may be rounded
  };
  /// Largest |c - exact| of one output, abs_sum the sum of the absolute values of its k + 2 terms.
  static double error_bound(int64_t k, double abs_sum) {
    return double(k + 3) * epsilon_of<T> * abs_sum;
  }
};

}  // namespace apprentice::kernels
