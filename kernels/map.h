#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// The functions of functions.inc as types: `value` and, for one number, `slope`. Device code sees
/// them too.
namespace functions {

inline constexpr double kInvSqrt2 = 0.70710678118654752440, kInvSqrt2Pi = 0.39894228040143267794;

/// min(max(v, low), high); NaN stays NaN.
template <class T>
constexpr T limit(T v, T low, T high) {
  return v < low ? low : v > high ? high : v;
}

/// 1 / (1 + exp(-v)), by exp of a negative number only, so nothing overflows.
template <class T>
constexpr T logistic(T v) {
  return (v < 0 ? std::exp(-std::abs(v)) : T(1)) / (1 + std::exp(-std::abs(v)));
}

#define APPRENTICE_UNARY(name_, value_, slope_)                                                  \
  struct name_ {                                                                                 \
    static constexpr std::string_view name = #name_;                                             \
    template <class T>                                                                           \
    static constexpr T value(T v, [[maybe_unused]] T a, [[maybe_unused]] T b) {                  \
      return value_;                                                                             \
    }                                                                                            \
    template <class T>                                                                           \
    static constexpr T slope([[maybe_unused]] T v, [[maybe_unused]] T a, [[maybe_unused]] T b) { \
      return slope_;                                                                             \
    }                                                                                            \
  };
#define APPRENTICE_BINARY(name_, value_)                  \
  struct name_ {                                          \
    static constexpr std::string_view name = #name_;      \
    template <class T>                                    \
    static constexpr T value(T u, [[maybe_unused]] T v) { \
      return value_;                                      \
    }                                                     \
  };
#include <apprentice/kernels/functions.inc>
#undef APPRENTICE_UNARY
#undef APPRENTICE_BINARY

}  // namespace functions

/// y[i] = F(x[i]; a, b) or, where `grad_y` is there, y[i] = grad_y[i] F'(x[i]; a, b). All [n]; y
/// may be x or grad_y. F is of functions.inc; bf16 elements are widened to f32 for it.
template <class F, class T>
struct MapUnary {
  static constexpr std::string_view name = F::name, types = types_of<T>;
  struct Args {
    View1<const T> x;
    View1<const T> grad_y;
    View1<T> y;
    compute_of<T> a = 0, b = 0;
  };
};

/// y = F(a, b) under NumPy broadcasting, as `plan` says; y [n] is dense, and may be an input that
/// is not broadcast. F is of functions.inc, types as in MapUnary.
template <class F, class T>
struct MapBinary {
  static constexpr std::string_view name = F::name, types = types_of<T>;
  struct Args {
    BroadcastPlan plan;
    const T* a;
    const T* b;
    View1<T> y;
  };
};

}  // namespace apprentice::kernels
