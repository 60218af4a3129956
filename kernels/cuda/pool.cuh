#pragma once

#include <limits>
#include <type_traits>

#include <apprentice/kernels/pool.h>
#include <apprentice/kernels/cuda/reduce_axis_internal.cuh>

// Poolings: a thread makes an element of the result, so threads next to each other work on channels
// next to each other, and gradients are gathered from the outputs whose windows hold the pixel, in
// row-major order: the bits of the CPU, and no atomics. bf16 is widened to f32 as it is read and
// rounded as it is written; a warp reads 64 bytes of it in one piece.
namespace apprentice::kernels::SIMT_NS {

/// element(n, p, q, c, i) of every element i of `sizes`. Thread t of the grid takes elements t,
/// t + threads, ...; Index is 32 bits wide where they fit, as its divisions are quicker.
template <class Index, class Element>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
each_element_kernel(Element element, std::array<int64_t, 4> sizes) {
  const auto h = Index(sizes[1]), w = Index(sizes[2]), channels = Index(sizes[3]);
  const Index n = Index(sizes[0]) * h * w * channels, step = Index(gridDim.x) * blockDim.x;
  for (Index i = Index(blockIdx.x) * blockDim.x + threadIdx.x; i < n; i += step) {
    const Index c = i % channels, pixel = i / channels, row = pixel / w;
    element(int64_t(row / h), int(row % h), int(pixel % w), int64_t(c), int64_t(i));
  }
}

template <class Element>
void for_each_element(const Element& element, const std::array<int64_t, 4>& sizes,
                      simt::Stream stream) {
  const int64_t n = sizes[0] * sizes[1] * sizes[2] * sizes[3];
  constexpr int64_t kMost = 132 * 16;
  const auto blocks = unsigned(std::clamp<int64_t>((n + kTeamBlock - 1) / kTeamBlock, 1, kMost));
  const bool is_small = n + kMost * kTeamBlock <= int64_t(std::numeric_limits<uint32_t>::max());
  simt::launch(
      is_small ? each_element_kernel<uint32_t, Element> : each_element_kernel<int64_t, Element>,
      blocks, kTeamBlock, 0, stream, element, sizes);
}

/// Outputs [begin, end) along an axis whose windows hold input i.
struct Outputs {
  int begin, end;
};
SIMT_FN Outputs outputs_of(const Pool2dGeometry& g, int axis, int i, int in_size, int out_size) {
  const auto a = size_t(axis);
  if (g.adaptive)
    return {int(int64_t(i) * out_size / in_size),
            int((int64_t(i + 1) * out_size + in_size - 1) / in_size)};
  const int kernel_size = int(g.kernel_size[a]), stride = int(g.stride[a]);
  const int at = i + int(g.padding[a]), first = at - kernel_size + 1;
  const int last = at / stride;
  return {first > 0 ? (first + stride - 1) / stride : 0, last < out_size ? last + 1 : out_size};
}

/// What an average divides by.
SIMT_FN float divisor(const Pool2dGeometry& g, Pool2dGeometry::Window rows,
                      Pool2dGeometry::Window columns) {
  return g.count_include_pad ? float(rows.size * columns.size)
                             : float((rows.end - rows.begin) * (columns.end - columns.begin));
}

template <class T>
struct MaxPoolElement {
  typename MaxPool2d<T>::Args args;

  SIMT_FN void operator()(int64_t n, int p, int q, int64_t c, int64_t i) const {
    const int height = int(args.x.size(1)), width = int(args.x.size(2));
    const auto rows = args.geometry.window(0, p, height, args.y.size(1));
    const auto columns = args.geometry.window(1, q, width, args.y.size(2));
    const int64_t channels = args.x.size(3);
    const T* image = args.x.data + n * height * width * channels + c;
    using C = compute_of<T>;
    C top = std::is_integral_v<C> ? std::numeric_limits<C>::lowest()
                                  : C(-std::numeric_limits<C>::infinity());
    int at = int(rows.begin) * width + int(columns.begin);
    for (int h = int(rows.begin); h < int(rows.end); ++h)
      for (int w = int(columns.begin); w < int(columns.end); ++w) {
        const C v = image[(h * width + w) * channels];
        if (v > top || (v != v && top == top)) top = v, at = h * width + w;
      }
    args.y.data[i] = T(top);
    if (args.argmax) args.argmax.data[i] = at;
  }
};

template <class T>
struct MaxPoolBackwardElement {
  typename MaxPool2dBackward<T>::Args args;

  SIMT_FN void operator()(int64_t n, int h, int w, int64_t c, int64_t i) const {
    const int height = int(args.grad_x.size(1)), width = int(args.grad_x.size(2));
    const auto p = outputs_of(args.geometry, 0, h, height, int(args.grad_y.size(1)));
    const auto q = outputs_of(args.geometry, 1, w, width, int(args.grad_y.size(2)));
    float sum = 0;
    for (int row = p.begin; row < p.end; ++row)
      for (int column = q.begin; column < q.end; ++column)
        if (args.argmax(n, row, column, c) == h * width + w) sum += args.grad_y(n, row, column, c);
    args.grad_x.data[i] = T(sum);
  }
};

template <class T>
struct AvgPoolElement {
  typename AvgPool2d<T>::Args args;

  SIMT_FN void operator()(int64_t n, int p, int q, int64_t c, int64_t i) const {
    const auto rows = args.geometry.window(0, p, args.x.size(1), args.y.size(1));
    const auto columns = args.geometry.window(1, q, args.x.size(2), args.y.size(2));
    float sum = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) sum += args.x(n, h, w, c);
    args.y.data[i] = T(sum / divisor(args.geometry, rows, columns));
  }
};

template <class T>
struct AvgPoolBackwardElement {
  typename AvgPool2dBackward<T>::Args args;

  SIMT_FN void operator()(int64_t n, int h, int w, int64_t c, int64_t i) const {
    const Pool2dGeometry& g = args.geometry;
    const int64_t height = args.grad_x.size(1), width = args.grad_x.size(2);
    const int64_t out_h = args.grad_y.size(1), out_w = args.grad_y.size(2);
    const auto p = outputs_of(g, 0, h, int(height), int(out_h));
    const auto q = outputs_of(g, 1, w, int(width), int(out_w));
    float sum = 0;
    for (int row = p.begin; row < p.end; ++row) {
      const auto rows = g.window(0, row, height, out_h);
      for (int column = q.begin; column < q.end; ++column)
        sum += args.grad_y(n, row, column, c) / divisor(g, rows, g.window(1, column, width, out_w));
    }
    args.grad_x.data[i] = T(sum);
  }
};

template <class T>
struct GlobalAvgPoolBackwardElement {
  typename GlobalAvgPoolBackward<T>::Args args;
  float pixels;

  SIMT_FN void operator()(int64_t n, int, int, int64_t c, int64_t i) const {
    args.grad_x.data[i] = T(args.grad_y(n, c) / pixels);
  }
};

template <class T>
struct ShortcutAElement {
  typename ShortcutA<T>::Args args;

  SIMT_FN void operator()(int64_t n, int p, int q, int64_t o, int64_t i) const {
    const int64_t in = args.x.size(3), c = o - (args.y.size(3) - in) / 2;
    args.y.data[i] = c >= 0 && c < in ? args.x(n, p * args.stride, q * args.stride, c) : T(0);
  }
};

template <class T>
struct ShortcutABackwardElement {
  typename ShortcutABackward<T>::Args args;

  SIMT_FN void operator()(int64_t n, int h, int w, int64_t c, int64_t i) const {
    const int stride = int(args.stride), p = h / stride, q = w / stride;
    const int64_t before = (args.grad_y.size(3) - args.grad_x.size(3)) / 2;
    const bool read = p * stride == h && q * stride == w;
    args.grad_x.data[i] = read ? args.grad_y(n, p, q, c + before) : T(0);
  }
};

template <class T>
void max_pool(const typename MaxPool2d<T>::Args& args, simt::Stream stream) {
  for_each_element(MaxPoolElement<T>{args}, args.y.sizes, stream);
}
template <class T>
void max_pool_backward(const typename MaxPool2dBackward<T>::Args& args, simt::Stream stream) {
  for_each_element(MaxPoolBackwardElement<T>{args}, args.grad_x.sizes, stream);
}
template <class T>
void avg_pool(const typename AvgPool2d<T>::Args& args, simt::Stream stream) {
  for_each_element(AvgPoolElement<T>{args}, args.y.sizes, stream);
}
template <class T>
void avg_pool_backward(const typename AvgPool2dBackward<T>::Args& args, simt::Stream stream) {
  for_each_element(AvgPoolBackwardElement<T>{args}, args.grad_x.sizes, stream);
}

/// x as [n, pixels, c], whose axis is reduced.
template <class Args>
std::array<int64_t, 3> pooled_sizes(const Args& args) {
  return {args.x.size(0), args.x.size(1) * args.x.size(2), args.x.size(3)};
}
template <class T>
void global_avg_pool(const typename GlobalAvgPool<T>::Args& args, void* scratch,
                     simt::Stream stream) {
  const auto sizes = pooled_sizes(args);
  reduce_as<SumKind>(View3<const T>{args.x.data, sizes}, SumTarget{args.y.data, double(sizes[1])},
                     scratch, stream);
}
template <class T>
void global_avg_pool_backward(const typename GlobalAvgPoolBackward<T>::Args& args,
                              simt::Stream stream) {
  const int64_t pixels = args.grad_x.size(1) * args.grad_x.size(2);
  for_each_element(GlobalAvgPoolBackwardElement<T>{args, float(pixels)}, args.grad_x.sizes, stream);
}

template <class T>
void shortcut_a(const typename ShortcutA<T>::Args& args, simt::Stream stream) {
  for_each_element(ShortcutAElement<T>{args}, args.y.sizes, stream);
}
template <class T>
void shortcut_a_backward(const typename ShortcutABackward<T>::Args& args, simt::Stream stream) {
  for_each_element(ShortcutABackwardElement<T>{args}, args.grad_x.sizes, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
