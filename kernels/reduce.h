#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

enum class ReduceKind { sum, mean, max };

/// y[o,i] = sum, mean or max over a of x[o,a,i]; sums in double, rounded once.
///   x [outer, axis, inner], y [outer, inner], which is f32 of bf16
/// An empty axis sums to 0; mean is 0/0 and max -infinity then. A NaN makes the max NaN.
template <class T>
struct Reduce {
  static constexpr std::string_view name = "reduce", types = types_of<T>;
  struct Args {
    View3<const T> x;
    View2<compute_of<T>> y;
    ReduceKind kind = ReduceKind::sum;
  };
};

/// y[o,i] = the first a with the largest x[o,a,i]; the first NaN, if there is one.
///   x [outer, axis >= 1, inner], y [outer, inner]
template <class T>
struct ArgMax {
  static constexpr std::string_view name = "argmax", types = types_of<T>;
  struct Args {
    View3<const T> x;
    View2<int64_t> y;
  };
};

/// x[o,at[o,i],i] = y[o,i], and 0 elsewhere: the gradient of a maximum.
///   y, at [outer, inner], at inside [0, axis) (not checked here); x [outer, axis, inner]
template <class T>
struct ScatterAxis {
  static constexpr std::string_view name = "scatter_axis", types = types_of<T>;
  struct Args {
    View2<const T> y;
    View2<const int64_t> at;
    View3<T> x;
  };
};

}  // namespace apprentice::kernels
