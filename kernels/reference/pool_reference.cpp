#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/pool.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

/// fn(n, p, q, c) for every element of a view, row-major.
template <class V, class Fn>
void for_each_element(const V& view, Fn fn) {
  for (int64_t n = 0; n < view.size(0); ++n)
    for (int64_t p = 0; p < view.size(1); ++p)
      for (int64_t q = 0; q < view.size(2); ++q)
        for (int64_t c = 0; c < view.size(3); ++c) fn(n, p, q, c);
}

template <class T>
bool is_nan(T v) {
  return v != v;
}

template <class T>
void max_pool(const typename MaxPool2d<T>::Args& a) {
  using C = compute_of<T>;
  for_each_element(a.y, [&](int64_t n, int64_t p, int64_t q, int64_t c) {
    const auto rows = a.geometry.window(0, p, a.x.size(1), a.y.size(1));
    const auto columns = a.geometry.window(1, q, a.x.size(2), a.y.size(2));
    C top = std::is_integral_v<C> ? std::numeric_limits<C>::lowest()
                                  : C(-std::numeric_limits<C>::infinity());
    int64_t at = rows.begin * a.x.size(2) + columns.begin;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const C v = a.x(n, h, w, c);
        if (v > top || (is_nan(v) && !is_nan(top))) top = v, at = h * a.x.size(2) + w;
      }
    a.y(n, p, q, c) = T(top);
    if (a.argmax) a.argmax(n, p, q, c) = int32_t(at);
  });
}

/// Calls fill(sums) with a view of zeros like `grad_x`, what sums are taken in, and stores them.
template <class T, class Fill>
void store_sums(View4<T> grad_x, Fill fill) {
  std::vector<compute_of<T>> sums(size_t(grad_x.numel()));
  fill(View4<compute_of<T>>{sums.data(), grad_x.sizes});
  for (size_t i = 0; i < sums.size(); ++i) grad_x.data[i] = T(sums[i]);
}

template <class T>
void max_pool_backward(const typename MaxPool2dBackward<T>::Args& a) {
  store_sums(a.grad_x, [&](const auto& sums) {
    for_each_element(a.grad_y, [&](int64_t n, int64_t p, int64_t q, int64_t c) {
      const int64_t at = a.argmax(n, p, q, c), width = a.grad_x.size(2);
      sums(n, at / width, at % width, c) += a.grad_y(n, p, q, c);
    });
  });
}

/// What an average divides by.
double divisor(const Pool2dGeometry& g, Pool2dGeometry::Window rows,
               Pool2dGeometry::Window columns) {
  if (g.count_include_pad) return double(rows.size * columns.size);
  return double((rows.end - rows.begin) * (columns.end - columns.begin));
}

template <class T>
void avg_pool(const typename AvgPool2d<T>::Args& a) {
  for_each_element(a.y, [&](int64_t n, int64_t p, int64_t q, int64_t c) {
    const auto rows = a.geometry.window(0, p, a.x.size(1), a.y.size(1));
    const auto columns = a.geometry.window(1, q, a.x.size(2), a.y.size(2));
    double sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) sum += double(a.x(n, h, w, c));
    a.y(n, p, q, c) = T(compute_of<T>(sum / divisor(a.geometry, rows, columns)));
  });
}

template <class T>
void avg_pool_backward(const typename AvgPool2dBackward<T>::Args& a) {
  using C = compute_of<T>;
  store_sums(a.grad_x, [&](const auto& sums) {
    for_each_element(a.grad_y, [&](int64_t n, int64_t p, int64_t q, int64_t c) {
      const auto rows = a.geometry.window(0, p, a.grad_x.size(1), a.grad_y.size(1));
      const auto columns = a.geometry.window(1, q, a.grad_x.size(2), a.grad_y.size(2));
      const C share = C(double(a.grad_y(n, p, q, c)) / divisor(a.geometry, rows, columns));
      for (int64_t h = rows.begin; h < rows.end; ++h)
        for (int64_t w = columns.begin; w < columns.end; ++w) sums(n, h, w, c) += share;
    });
  });
}

template <class T>
void global_avg_pool(const typename GlobalAvgPool<T>::Args& a) {
  const double pixels = double(a.x.size(1) * a.x.size(2));
  for (int64_t n = 0; n < a.y.size(0); ++n)
    for (int64_t c = 0; c < a.y.size(1); ++c) {
      double sum = 0;
      for (int64_t h = 0; h < a.x.size(1); ++h)
        for (int64_t w = 0; w < a.x.size(2); ++w) sum += double(a.x(n, h, w, c));
      a.y(n, c) = compute_of<T>(sum / pixels);
    }
}

template <class T>
void global_avg_pool_backward(const typename GlobalAvgPoolBackward<T>::Args& a) {
  const double pixels = double(a.grad_x.size(1) * a.grad_x.size(2));
  for_each_element(a.grad_x, [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    a.grad_x(n, h, w, c) = T(compute_of<T>(double(a.grad_y(n, c)) / pixels));
  });
}

template <class T>
void shortcut_a(const typename ShortcutA<T>::Args& a) {
  const int64_t in = a.x.size(3), before = (a.y.size(3) - in) / 2;
  for_each_element(a.y, [&](int64_t n, int64_t p, int64_t q, int64_t o) {
    const int64_t c = o - before;
    a.y(n, p, q, o) = c >= 0 && c < in ? a.x(n, p * a.stride, q * a.stride, c) : T(0);
  });
}

template <class T>
void shortcut_a_backward(const typename ShortcutABackward<T>::Args& a) {
  const int64_t before = (a.grad_y.size(3) - a.grad_x.size(3)) / 2;
  for_each_element(a.grad_x, [&](int64_t n, int64_t h, int64_t w, int64_t c) {
    const bool read = h % a.stride == 0 && w % a.stride == 0;
    a.grad_x(n, h, w, c) = read ? a.grad_y(n, h / a.stride, w / a.stride, c + before) : T(0);
  });
}

template <class T>
void add_all() {
  add_reference<MaxPool2d<T>>(max_pool<T>);
  add_reference<MaxPool2dBackward<T>>(max_pool_backward<T>);
  add_reference<AvgPool2d<T>>(avg_pool<T>);
  add_reference<AvgPool2dBackward<T>>(avg_pool_backward<T>);
  add_reference<GlobalAvgPool<T>>(global_avg_pool<T>);
  add_reference<GlobalAvgPoolBackward<T>>(global_avg_pool_backward<T>);
  add_reference<ShortcutA<T>>(shortcut_a<T>);
  add_reference<ShortcutABackward<T>>(shortcut_a_backward<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(pool_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
  apprentice::kernels::add_all<apprentice::Bf16>();
  using CodePool = apprentice::kernels::MaxPool2d<uint8_t>;
  apprentice::kernels::add_reference<CodePool>(apprentice::kernels::max_pool<uint8_t>);
}
