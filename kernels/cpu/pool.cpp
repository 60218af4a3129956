#include <algorithm>
#include <limits>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/pool.h>

namespace apprentice::kernels {
namespace {

using Window = Pool2dGeometry::Window;

/// fn(n, p) for every image row of a view, on all cores.
template <class V, class Fn>
void for_each_row(const V& view, Fn fn) {
#pragma omp parallel for collapse(2) schedule(static) if (view.numel() >= kParallelElements)
  for (int64_t n = 0; n < view.size(0); ++n)
    for (int64_t p = 0; p < view.size(1); ++p) fn(n, p);
}

/// fn(n) for every image, on all cores: gradients of one image meet in overlapping windows.
template <class V, class Fn>
void for_each_image(const V& view, Fn fn) {
#pragma omp parallel for schedule(static) if (view.numel() >= kParallelElements)
  for (int64_t n = 0; n < view.size(0); ++n) fn(n);
}

template <bool kArgmax>
void max_window(const MaxPool2d<float>::Args& a, int64_t n, int64_t p, int64_t q, Window rows,
                Window columns) {
  const int64_t channels = a.y.size(3);
  float* top = &a.y(n, p, q, 0);
  int32_t* at = kArgmax ? &a.argmax(n, p, q, 0) : nullptr;
  std::fill_n(top, channels, -std::numeric_limits<float>::infinity());
  if (kArgmax) std::fill_n(at, channels, int32_t(rows.begin * a.x.size(2) + columns.begin));
  for (int64_t h = rows.begin; h < rows.end; ++h)
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const float* x = &a.x(n, h, w, 0);
      const auto position = int32_t(h * a.x.size(2) + w);
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) {
        const bool wins = (x[c] > top[c]) | ((x[c] != x[c]) & (top[c] == top[c]));
        top[c] = wins ? x[c] : top[c];
        if (kArgmax) at[c] = wins ? position : at[c];
      }
    }
}

void max_pool(const MaxPool2d<float>::Args& a) {
  for_each_row(a.y, [&](int64_t n, int64_t p) {
    const Window rows = a.geometry.window(0, p, a.x.size(1), a.y.size(1));
    for (int64_t q = 0; q < a.y.size(2); ++q) {
      const Window columns = a.geometry.window(1, q, a.x.size(2), a.y.size(2));
      if (a.argmax) {
        max_window<true>(a, n, p, q, rows, columns);
      } else {
        max_window<false>(a, n, p, q, rows, columns);
      }
    }
  });
}

void max_pool_backward(const MaxPool2dBackward<float>::Args& a) {
  const int64_t image = a.grad_x.numel() / std::max<int64_t>(a.grad_x.size(0), 1);
  const int64_t channels = a.grad_y.size(3);
  for_each_image(a.grad_x, [&](int64_t n) {
    float* grad_x = a.grad_x.data + n * image;
    std::fill_n(grad_x, image, 0.0f);
    const int64_t pixels = a.grad_y.size(1) * a.grad_y.size(2);
    const float* grad_y = a.grad_y.data + n * pixels * channels;
    const int32_t* at = a.argmax.data + n * pixels * channels;
    for (int64_t i = 0; i < pixels; ++i, grad_y += channels, at += channels)
      for (int64_t c = 0; c < channels; ++c) grad_x[int64_t(at[c]) * channels + c] += grad_y[c];
  });
}

float divisor(const Pool2dGeometry& g, Window rows, Window columns) {
  if (g.count_include_pad) return float(rows.size * columns.size);
  return float((rows.end - rows.begin) * (columns.end - columns.begin));
}

/// y[c] = sum over the window of x[n, h, w, c], divided.
void average(View4<const float> x, int64_t n, Window rows, Window columns, float by, float* y) {
  const int64_t channels = x.size(3);
  std::fill_n(y, channels, 0.0f);
  for (int64_t h = rows.begin; h < rows.end; ++h)
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      const float* pixel = &x(n, h, w, 0);
#pragma omp simd
      for (int64_t c = 0; c < channels; ++c) y[c] += pixel[c];
    }
#pragma omp simd
  for (int64_t c = 0; c < channels; ++c) y[c] /= by;
}

void avg_pool(const AvgPool2d<float>::Args& a) {
  for_each_row(a.y, [&](int64_t n, int64_t p) {
    const Window rows = a.geometry.window(0, p, a.x.size(1), a.y.size(1));
    for (int64_t q = 0; q < a.y.size(2); ++q) {
      const Window columns = a.geometry.window(1, q, a.x.size(2), a.y.size(2));
      average(a.x, n, rows, columns, divisor(a.geometry, rows, columns), &a.y(n, p, q, 0));
    }
  });
}

/// Adds grad_y / by to every pixel of a window of image n.
void spread(View4<float> grad_x, int64_t n, Window rows, Window columns, float by,
            const float* grad_y) {
  for (int64_t h = rows.begin; h < rows.end; ++h)
    for (int64_t w = columns.begin; w < columns.end; ++w) {
      float* pixel = &grad_x(n, h, w, 0);
#pragma omp simd
      for (int64_t c = 0; c < grad_x.sizes[3]; ++c) pixel[c] += grad_y[c] / by;
    }
}

void avg_pool_backward(const AvgPool2dBackward<float>::Args& a) {
  const int64_t image = a.grad_x.numel() / std::max<int64_t>(a.grad_x.size(0), 1);
  for_each_image(a.grad_x, [&](int64_t n) {
    std::fill_n(a.grad_x.data + n * image, image, 0.0f);
    for (int64_t p = 0; p < a.grad_y.size(1); ++p) {
      const Window rows = a.geometry.window(0, p, a.grad_x.size(1), a.grad_y.size(1));
      for (int64_t q = 0; q < a.grad_y.size(2); ++q) {
        const Window columns = a.geometry.window(1, q, a.grad_x.size(2), a.grad_y.size(2));
        spread(a.grad_x, n, rows, columns, divisor(a.geometry, rows, columns),
               &a.grad_y(n, p, q, 0));
      }
    }
  });
}

void global_avg_pool(const GlobalAvgPool<float>::Args& a) {
  const Window rows{0, a.x.size(1), a.x.size(1)}, columns{0, a.x.size(2), a.x.size(2)};
  for_each_image(a.x, [&](int64_t n) {
    average(a.x, n, rows, columns, float(rows.size * columns.size), &a.y(n, 0));
  });
}

void global_avg_pool_backward(const GlobalAvgPoolBackward<float>::Args& a) {
  const int64_t pixels = a.grad_x.size(1) * a.grad_x.size(2), channels = a.grad_x.size(3);
  for_each_image(a.grad_x, [&](int64_t n) {
    float* first = a.grad_x.data + n * pixels * channels;
    for (int64_t c = 0; c < channels; ++c) first[c] = a.grad_y(n, c) / float(pixels);
    for (int64_t i = 1; i < pixels; ++i) std::copy_n(first, channels, first + i * channels);
  });
}

void shortcut_a(const ShortcutA<float>::Args& a) {
  const int64_t in = a.x.size(3), out = a.y.size(3), before = (out - in) / 2;
  for_each_row(a.y, [&](int64_t n, int64_t p) {
    for (int64_t q = 0; q < a.y.size(2); ++q) {
      float* y = &a.y(n, p, q, 0);
      std::fill_n(y, before, 0.0f);
      std::copy_n(&a.x(n, p * a.stride, q * a.stride, 0), in, y + before);
      std::fill_n(y + before + in, out - before - in, 0.0f);
    }
  });
}

void shortcut_a_backward(const ShortcutABackward<float>::Args& a) {
  const int64_t width = a.grad_x.size(2), channels = a.grad_x.size(3);
  const int64_t before = (a.grad_y.size(3) - channels) / 2;
  for_each_row(a.grad_x, [&](int64_t n, int64_t h) {
    std::fill_n(&a.grad_x(n, h, 0, 0), width * channels, 0.0f);
    if (h % a.stride != 0) return;
    for (int64_t w = 0; w < width; w += a.stride)
      std::copy_n(&a.grad_y(n, h / a.stride, w / a.stride, before), channels,
                  &a.grad_x(n, h, w, 0));
  });
}

template <class Args>
std::string refuse_no_pixels(const Args& a) {
  return a.grad_x.numel() == 0 ? "a size is zero" : "";
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(pool) {
  using namespace apprentice::kernels;
  add_portable<MaxPool2d<float>>(max_pool);
  add_portable<MaxPool2dBackward<float>>(max_pool_backward);
  add_portable<AvgPool2d<float>>(avg_pool);
  add_portable<AvgPool2dBackward<float>>(avg_pool_backward);
  add_portable<GlobalAvgPool<float>>(global_avg_pool);
  add_portable<GlobalAvgPoolBackward<float>>(global_avg_pool_backward,
                                             refuse_no_pixels<GlobalAvgPoolBackward<float>::Args>);
  add_portable<ShortcutA<float>>(shortcut_a);
  add_portable<ShortcutABackward<float>>(shortcut_a_backward);
}
