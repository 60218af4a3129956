#include <apprentice/core/ops/pool.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/kernels/pool.h>

namespace apprentice {
namespace {

using kernels::Pool2dGeometry;

void check_image(const char* op, const Tensor& x) {
  check<ShapeError>(x.rank() == 4, "{}: x is {}, expected [n, h, w, c]", op, x.shape().str());
}

Pool2dGeometry geometry_of(const char* op, const Pool2dOptions& o) {
  for (size_t i = 0; i < 2; ++i)
    check<ShapeError>(o.kernel_size[i] > 0 && o.stride[i] > 0 && o.padding[i] >= 0 &&
                          o.padding[i] < o.kernel_size[i],
                      "{}: kernel {}, stride {}, padding {} of axis {} make no sense", op,
                      o.kernel_size[i], o.stride[i], o.padding[i], i);
  return {o.kernel_size, o.stride, o.padding, o.count_include_pad, false};
}

Shape y_shape(const char* op, const Tensor& x, const Pool2dGeometry& g) {
  const int64_t p = g.out_size(0, x.size(1)), q = g.out_size(1, x.size(2));
  check<ShapeError>(p > 0 && q > 0, "{}: the window does not fit into {}", op, x.shape().str());
  return {x.size(0), p, q, x.size(3)};
}

Shape adaptive_shape(const char* op, const Tensor& x, int64_t out_h, int64_t out_w) {
  check_image(op, x);
  check<ShapeError>(out_h > 0 && out_w > 0 && x.size(1) > 0 && x.size(2) > 0,
                    "{}: {} cannot be made {} by {}", op, x.shape().str(), out_h, out_w);
  return {x.size(0), out_h, out_w, x.size(3)};
}

Tensor max_pool(const char* op, const Tensor& x, const Shape& shape, const Pool2dGeometry& g) {
  Tensor y = x.new_empty(shape), argmax;
  if (needs_grad(x)) argmax = x.new_empty(shape, Dtype::i32);
  with_real(x.dtype(), op, [&]<class T>() {
    typename kernels::MaxPool2d<T>::Args args;
    args.x = x.view<T, 4>();
    args.y = y.view<T, 4>();
    if (argmax) args.argmax = argmax.view<int32_t, 4>();
    args.geometry = g;
    launch_beside<kernels::MaxPool2d<T>>(x, args);
  });
  if (!argmax) return y;
  return record(op, y, {x}, [op, g, at = Saved(argmax), shape = x.shape()](const Tensor& grad_y) {
    Tensor grad_x = grad_y.new_empty(shape);
    with_real(grad_y.dtype(), op, [&]<class T>() {
      launch_beside<kernels::MaxPool2dBackward<T>>(
          grad_y, {grad_y.view<T, 4>(), at.get().view<int32_t, 4>(), grad_x.view<T, 4>(), g});
    });
    return std::vector{grad_x};
  });
}

Tensor avg_pool(const char* op, const Tensor& x, const Shape& shape, const Pool2dGeometry& g) {
  Tensor y = x.new_empty(shape);
  with_real(x.dtype(), op, [&]<class T>() {
    launch_beside<kernels::AvgPool2d<T>>(x, {x.view<T, 4>(), y.view<T, 4>(), g});
  });
  return record(op, y, {x}, [op, g, shape = x.shape()](const Tensor& grad_y) {
    Tensor grad_x = grad_y.new_empty(shape);
    with_real(grad_y.dtype(), op, [&]<class T>() {
      launch_beside<kernels::AvgPool2dBackward<T>>(grad_y,
                                                   {grad_y.view<T, 4>(), grad_x.view<T, 4>(), g});
    });
    return std::vector{grad_x};
  });
}

}  // namespace

Tensor max_pool2d(const Tensor& x, const Pool2dOptions& options) {
  check_image("max_pool2d", x);
  const Pool2dGeometry g = geometry_of("max_pool2d", options);
  return max_pool("max_pool2d", x, y_shape("max_pool2d", x, g), g);
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options) {
  check_image("avg_pool2d", x);
  const Pool2dGeometry g = geometry_of("avg_pool2d", options);
  return avg_pool("avg_pool2d", x, y_shape("avg_pool2d", x, g), g);
}

Tensor adaptive_avg_pool2d(const Tensor& x, int64_t out_h, int64_t out_w) {
  const char* op = "adaptive_avg_pool2d";
  return avg_pool(op, x, adaptive_shape(op, x, out_h, out_w), {.adaptive = true});
}

Tensor adaptive_max_pool2d(const Tensor& x, int64_t out_h, int64_t out_w) {
  const char* op = "adaptive_max_pool2d";
  return max_pool(op, x, adaptive_shape(op, x, out_h, out_w), {.adaptive = true});
}

Tensor global_avg_pool2d(const Tensor& x) {
  check_image("global_avg_pool2d", x);
  check<ShapeError>(x.size(1) * x.size(2) > 0, "global_avg_pool2d: {} has no pixels",
                    x.shape().str());
  const char* op = "global_avg_pool2d";
  const Dtype dtype = x.dtype();
  Tensor y = x.new_empty({x.size(0), x.size(3)}, parameter_dtype(x));
  with_real(dtype, op, [&]<class T>() {
    launch_beside<kernels::GlobalAvgPool<T>>(x,
                                             {x.view<T, 4>(), y.view<kernels::compute_of<T>, 2>()});
  });
  return record(op, y, {x}, [op, dtype, shape = x.shape()](const Tensor& grad_y) {
    Tensor grad_x = grad_y.new_empty(shape, dtype);
    with_real(dtype, op, [&]<class T>() {
      launch_beside<kernels::GlobalAvgPoolBackward<T>>(
          grad_y, {grad_y.view<kernels::compute_of<T>, 2>(), grad_x.view<T, 4>()});
    });
    return std::vector{grad_x};
  });
}

Tensor shortcut_a(const Tensor& x, int64_t out_channels, int64_t stride) {
  check_image("shortcut_a", x);
  check<ShapeError>(stride > 0 && out_channels >= x.size(3),
                    "shortcut_a: {} channels at stride {} cannot be made of {}", out_channels,
                    stride, x.shape().str());
  const Shape shape{x.size(0), (x.size(1) + stride - 1) / stride, (x.size(2) + stride - 1) / stride,
                    out_channels};
  Tensor y = x.new_empty(shape);
  with_real(x.dtype(), "shortcut_a", [&]<class T>() {
    launch_beside<kernels::ShortcutA<T>>(x, {x.view<T, 4>(), y.view<T, 4>(), stride});
  });
  return record("shortcut_a", y, {x}, [stride, shape = x.shape()](const Tensor& grad_y) {
    Tensor grad_x = grad_y.new_empty(shape);
    with_real(grad_y.dtype(), "shortcut_a", [&]<class T>() {
      launch_beside<kernels::ShortcutABackward<T>>(
          grad_y, {grad_y.view<T, 4>(), grad_x.view<T, 4>(), stride});
    });
    return std::vector{grad_x};
  });
}

}  // namespace apprentice

namespace {

using namespace apprentice;
using ImageOp = std::function<Tensor(const Tensor&)>;

OpSample image_sample(const Shape& x, const ImageOp& op, const Shape& y, Rng& rng) {
  return {x.str() + " to " + y.str(),
          {Tensor::normal(x, 0, 1, rng)},
          [op](const auto& in) { return op(in[0]); },
          y};
}

std::vector<OpSample> window_samples(Tensor (*pool)(const Tensor&, const Pool2dOptions&),
                                     Rng& rng) {
  const auto with = [pool](Pool2dOptions o) {
    return ImageOp([=](const Tensor& x) { return pool(x, o); });
  };
  return {image_sample({2, 5, 4, 3}, with({}), {2, 2, 2, 3}, rng),
          image_sample({1, 7, 6, 1}, with({{3, 3}, {2, 2}, {1, 1}}), {1, 4, 3, 1}, rng),
          image_sample({1, 7, 6, 2}, with({{3, 3}, {2, 2}, {1, 1}, false}), {1, 4, 3, 2}, rng),
          image_sample({1, 3, 5, 2}, with({{1, 3}, {1, 2}, {0, 1}}), {1, 3, 3, 2}, rng),
          image_sample({0, 4, 4, 2}, with({}), {0, 2, 2, 2}, rng)};
}

std::vector<OpSample> adaptive_samples(Tensor (*pool)(const Tensor&, int64_t, int64_t), Rng& rng) {
  const auto to = [pool](int64_t h, int64_t w) {
    return ImageOp([=](const Tensor& x) { return pool(x, h, w); });
  };
  return {image_sample({2, 7, 5, 3}, to(3, 2), {2, 3, 2, 3}, rng),
          image_sample({1, 3, 3, 1}, to(1, 1), {1, 1, 1, 1}, rng),
          image_sample({1, 2, 2, 2}, to(3, 5), {1, 3, 5, 2}, rng),
          image_sample({0, 3, 3, 1}, to(1, 1), {0, 1, 1, 1}, rng)};
}

}  // namespace

APPRENTICE_UNIT(pool) {
  op_samples().add("max_pool2d", [](Rng& rng) { return window_samples(max_pool2d, rng); });
  op_samples().add("avg_pool2d", [](Rng& rng) { return window_samples(avg_pool2d, rng); });
  op_samples().add("adaptive_avg_pool2d",
                   [](Rng& rng) { return adaptive_samples(adaptive_avg_pool2d, rng); });
  op_samples().add("adaptive_max_pool2d",
                   [](Rng& rng) { return adaptive_samples(adaptive_max_pool2d, rng); });
  op_samples().add("global_avg_pool2d", [](Rng& rng) {
    return std::vector{image_sample({2, 3, 5, 3}, global_avg_pool2d, {2, 3}, rng),
                       image_sample({1, 1, 1, 1}, global_avg_pool2d, {1, 1}, rng),
                       image_sample({0, 2, 2, 3}, global_avg_pool2d, {0, 3}, rng)};
  });
  op_samples().add("shortcut_a", [](Rng& rng) {
    const auto by = [](int64_t out, int64_t stride) {
      return ImageOp([=](const Tensor& x) { return shortcut_a(x, out, stride); });
    };
    return std::vector{image_sample({2, 6, 6, 4}, by(8, 2), {2, 3, 3, 8}, rng),
                       image_sample({1, 7, 5, 3}, by(6, 2), {1, 4, 3, 6}, rng),
                       image_sample({1, 3, 2, 2}, by(2, 1), {1, 3, 2, 2}, rng),
                       image_sample({1, 1, 1, 1}, by(4, 3), {1, 1, 1, 4}, rng)};
  });
}
