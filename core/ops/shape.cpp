#include <apprentice/core/ops/shape.h>

#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/precision.h>
#include <apprentice/core/tensor_internal.h>
#include <apprentice/kernels/map.h>
#include <apprentice/kernels/strided_copy.h>

namespace apprentice {
namespace {

/// axes, each in [0, rank) once.
std::vector<int> normal_axes(const Tensor& x, std::span<const int> axes) {
  std::vector<int> normal;
  for (int axis : axes) normal.push_back(axis < 0 ? axis + x.rank() : axis);
  std::vector<int> sorted = normal;
  std::sort(sorted.begin(), sorted.end());
  bool fits = int(axes.size()) == x.rank();
  for (int i = 0; fits && i < x.rank(); ++i) fits = sorted[size_t(i)] == i;
  check<ShapeError>(fits, "permute: the axes given are no permutation of those of {}",
                    x.shape().str());
  return normal;
}

Tensor permuted_copy(const Tensor& x, const std::vector<int>& axes) {
  const auto x_steps = kernels::dense_steps(x.shape());
  Shape shape;
  kernels::StridedCopy::Args args{};
  for (size_t i = 0; i < axes.size(); ++i) {
    shape.push_back(x.shape()[axes[i]]);
    args.sizes[i] = shape[int(i)];
    args.x_steps[i] = x_steps[size_t(axes[i])];
  }
  Tensor y = x.new_empty(shape);
  args.x = x.bytes();
  args.y = y.bytes();
  args.element_bytes = int(size_of(x.dtype()));
  args.rank = x.rank();
  args.y_steps = kernels::dense_steps(shape);
  launch_beside<kernels::StridedCopy>(x, args);
  return y;
}

/// Copies `count` steps along `axis` from step x_at of x to step y_at of y.
void copy_along(int axis, const Tensor& x, int64_t x_at, Tensor& y, int64_t y_at, int64_t count) {
  const size_t element = size_of(x.dtype());
  kernels::StridedCopy::Args args{};
  args.x_steps = kernels::dense_steps(x.shape());
  args.y_steps = kernels::dense_steps(y.shape());
  args.x = x.bytes() + size_t(x_at * args.x_steps[size_t(axis)]) * element;
  args.y = y.bytes() + size_t(y_at * args.y_steps[size_t(axis)]) * element;
  args.element_bytes = int(element);
  args.rank = x.rank();
  for (int i = 0; i < x.rank(); ++i) args.sizes[size_t(i)] = i == axis ? count : x.shape()[i];
  launch_beside<kernels::StridedCopy>(x, args);
}

std::vector<Tensor> widened(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> wide;
  for (const Tensor& tensor : tensors) wide.push_back(apprentice::widened(tensor));
  return wide;
}

Shape resized(Shape shape, int axis, int64_t size) {
  shape[axis] = size;
  return shape;
}

}  // namespace

Tensor permute(const Tensor& x, std::span<const int> axes) {
  const std::vector<int> forward = normal_axes(x, axes);
  Tensor y = permuted_copy(x, forward);
  if (!needs_grad(x)) return y;
  std::vector<int> back(forward.size());
  for (size_t i = 0; i < forward.size(); ++i) back[size_t(forward[i])] = int(i);
  return record("permute", y, {x},
                [back](const Tensor& g) { return std::vector{permuted_copy(g, back)}; });
}

Tensor permute(const Tensor& x, std::initializer_list<int> axes) {
  return permute(x, std::span<const int>(axes.begin(), axes.size()));
}

Tensor transpose(const Tensor& x, int a, int b) {
  x.size(a), x.size(b);
  std::vector<int> axes(size_t(x.rank()));
  for (size_t i = 0; i < axes.size(); ++i) axes[i] = int(i);
  std::swap(axes[size_t(a < 0 ? a + x.rank() : a)], axes[size_t(b < 0 ? b + x.rank() : b)]);
  return permute(x, axes);
}

Tensor concat(const std::vector<Tensor>& parts, int axis) {
  check<ShapeError>(!parts.empty(), "concat: no tensors");
  for (const Tensor& part : parts)
    if (differ_in_storage(parts[0], part)) return concat(widened(parts), axis);
  const Shape& first = parts[0].shape();
  first.size(axis);
  const int at = axis < 0 ? axis + first.rank() : axis;
  int64_t total = 0;
  std::vector<int64_t> sizes;
  for (const Tensor& part : parts) {
    check<ShapeError>(
        part.rank() == first.rank() && resized(part.shape(), at, 0) == resized(first, at, 0),
        "concat: {} and {} differ beside axis {}", first.str(), part.shape().str(), axis);
    check_beside("concat", parts[0], part);
    sizes.push_back(part.size(at));
    total += sizes.back();
  }
  Tensor y = parts[0].new_empty(resized(first, at, total));
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    copy_along(at, part, 0, y, begin, part.size(at));
    begin += part.size(at);
  }
  return record("concat", y, parts, [at, sizes](const Tensor& g) {
    std::vector<Tensor> grads;
    int64_t from = 0;
    for (int64_t size : sizes) {
      grads.push_back(g.new_empty(resized(g.shape(), at, size)));
      copy_along(at, g, from, grads.back(), 0, size);
      from += size;
    }
    return grads;
  });
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  check<ShapeError>(broadcast(x.shape(), shape, "broadcast_to") == shape,
                    "broadcast_to: {} does not broadcast to {}", x.shape().str(), shape.str());
  Tensor y = x.new_empty(shape);
  with_dtype(x.dtype(), "broadcast_to", [&]<class T>() {
    launch_beside<kernels::MapBinary<kernels::functions::first, T>>(
        x, {kernels::plan_broadcast(x.shape(), x.shape(), shape), x.flat<T>().data,
            x.flat<T>().data, y.flat<T>()});
  });
  return record("broadcast_to", y, {x},
                [to = x.shape()](const Tensor& g) { return std::vector{sum_to(g, to)}; });
}

}  // namespace apprentice

APPRENTICE_UNIT(shape) {
  using namespace apprentice;
  op_samples().add("permute", [](Rng& rng) {
    const auto sample = [&](Shape x, std::vector<int> axes, Shape y) {
      return OpSample{x.str(),
                      {Tensor::normal(x, 0, 1, rng)},
                      [axes](const auto& in) { return permute(in[0], axes); },
                      y};
    };
    return std::vector{sample({2, 3, 4, 5}, {0, 2, 3, 1}, {2, 4, 5, 3}), sample({}, {}, {}),
                       sample({3, 1}, {-1, 0}, {1, 3}), sample({0, 3}, {1, 0}, {3, 0})};
  });
  op_samples().add("transpose", [](Rng& rng) {
    return std::vector<OpSample>{{"[2, 3, 5] 0 -1",
                                  {Tensor::normal({2, 3, 5}, 0, 1, rng)},
                                  [](const auto& in) { return transpose(in[0], 0, -1); },
                                  {5, 3, 2}}};
  });
  op_samples().add("concat", [](Rng& rng) {
    const auto sample = [&](std::vector<Shape> shapes, int axis, Shape y) {
      std::vector<Tensor> inputs;
      for (const Shape& x : shapes) inputs.push_back(Tensor::normal(x, 0, 1, rng));
      return OpSample{y.str(), inputs, [axis](const auto& in) { return concat(in, axis); }, y};
    };
    return std::vector{sample({{2, 3}, {4, 3}, {0, 3}}, 0, {6, 3}), sample({{5}}, 0, {5}),
                       sample({{2, 1, 3}, {2, 2, 3}}, -2, {2, 3, 3})};
  });
  op_samples().add("broadcast_to", [](Rng& rng) {
    const auto sample = [&](Shape x, Shape y) {
      return OpSample{x.str() + " " + y.str(),
                      {Tensor::normal(x, 0, 1, rng)},
                      [y](const auto& in) { return broadcast_to(in[0], y); },
                      y};
    };
    return std::vector{sample({}, {2, 3}), sample({3, 1}, {2, 3, 5}), sample({1, 3}, {0, 3}),
                       sample({4}, {4})};
  });
}
