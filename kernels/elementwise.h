#pragma once

#include <array>
#include <cstdint>

#include <apprentice/base/shape.h>
#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Below this many elements a loop stays on one thread: waking a second one costs more.
inline constexpr int64_t kParallelElements = 1 << 15;

/// y[i] = f(x[i]); y may be x. T and U may differ.
template <class T, class U, class F>
void map_unary(View1<const T> x, View1<U> y, F f) {
  const int64_t n = x.numel();
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) y.data[i] = f(x.data[i]);
}

/// y[i] = f(a[i], b[i]), same sizes; y may be a or b.
template <class A, class B, class U, class F>
void map_binary(View1<const A> a, View1<const B> b, View1<U> y, F f) {
  const int64_t n = y.numel();
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) y.data[i] = f(a.data[i], b.data[i]);
}

/// How two arrays are read under a common shape: axes merged where both walk on evenly, and at
/// least one axis, the last. Steps are in elements, 0 along a broadcast axis.
struct BroadcastPlan {
  int rank = 0;
  std::array<int64_t, Shape::kMaxRank> sizes{}, a_steps{}, b_steps{};
};
/// The plan for shapes a and b under y, which both must broadcast to.
BroadcastPlan plan_broadcast(const Shape& a, const Shape& b, const Shape& y);

namespace detail {

/// One run along the last axis, whose steps are 0 or 1.
template <class A, class B, class U, class F>
void map_row(const A* a, int64_t a_step, const B* b, int64_t b_step, U* y, int64_t n, F& f) {
  if (a_step && b_step) {
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], b[i]);
  } else if (a_step) {
    const B scalar = *b;
    for (int64_t i = 0; i < n; ++i) y[i] = f(a[i], scalar);
  } else if (b_step) {
    const A scalar = *a;
    for (int64_t i = 0; i < n; ++i) y[i] = f(scalar, b[i]);
  } else {
    const U value = f(*a, *b);
    for (int64_t i = 0; i < n; ++i) y[i] = value;
  }
}

}  // namespace detail

/// y = f(a, b) under NumPy broadcasting as `plan` says; y [n] is dense and must not alias an input
/// that is broadcast.
template <class A, class B, class U, class F>
void map_binary(const BroadcastPlan& plan, const A* a, const B* b, View1<U> y_view, F f) {
  if (y_view.numel() == 0) return;
  U* y = y_view.data;
  const int last = plan.rank - 1;
  const int64_t n = plan.sizes[size_t(last)], rows = y_view.numel() / n;
  if (rows == 1 && plan.a_steps[size_t(last)] && plan.b_steps[size_t(last)])
    return map_binary(View1<const A>{a, {n}}, View1<const B>{b, {n}}, y_view, f);
#pragma omp parallel for schedule(static) if (rows * n >= kParallelElements)
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, ia = 0, ib = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      const int64_t at = rest % plan.sizes[size_t(axis)];
      rest /= plan.sizes[size_t(axis)];
      ia += at * plan.a_steps[size_t(axis)];
      ib += at * plan.b_steps[size_t(axis)];
    }
    detail::map_row(a + ia, plan.a_steps[size_t(last)], b + ib, plan.b_steps[size_t(last)],
                    y + row * n, n, f);
  }
}

}  // namespace apprentice::kernels
