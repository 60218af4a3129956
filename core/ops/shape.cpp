#include <apprentice/core/ops/shape.h>

#include <algorithm>
#include <cstring>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/tensor_internal.h>
#include <apprentice/kernels/map.h>

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

/// y[i] = x at the steps of the permuted axes, row by row of y.
template <class Element>
void permute_elements(const Element* x, Element* y, const Shape& y_shape,
                      const std::array<int64_t, Shape::kMaxRank>& steps) {
  const int last = y_shape.rank() - 1;
  const int64_t n = y_shape[last], rows = y_shape.numel() / std::max<int64_t>(n, 1);
#pragma omp parallel for schedule(static) if (rows * n >= kernels::kParallelElements)
  for (int64_t row = 0; row < rows; ++row) {
    int64_t rest = row, from = 0;
    for (int axis = last - 1; axis >= 0; --axis) {
      from += rest % y_shape[axis] * steps[size_t(axis)];
      rest /= y_shape[axis];
    }
    const int64_t step = steps[size_t(last)];
    for (int64_t i = 0; i < n; ++i) y[row * n + i] = x[from + i * step];
  }
}

Tensor permuted_copy(const Tensor& x, const std::vector<int>& axes) {
  std::array<int64_t, Shape::kMaxRank> x_steps{}, steps{};
  int64_t step = 1;
  for (int i = x.rank() - 1; i >= 0; --i) x_steps[size_t(i)] = step, step *= x.shape()[i];
  Shape shape;
  for (size_t i = 0; i < axes.size(); ++i) {
    shape.push_back(x.shape()[axes[i]]);
    steps[i] = x_steps[size_t(axes[i])];
  }
  Tensor y = Tensor::empty(shape, x.dtype());
  if (y.numel() == 0) return y;
  if (x.rank() == 0) {
    std::memcpy(y.raw(), x.raw(), size_of(x.dtype()));
    return y;
  }
  const auto run = [&]<class Element>() {
    permute_elements(static_cast<const Element*>(x.raw()), static_cast<Element*>(y.raw()), shape,
                     steps);
  };
  switch (size_of(x.dtype())) {
    case 1:
      run.template operator()<uint8_t>();
      break;
    case 2:
      run.template operator()<uint16_t>();
      break;
    case 4:
      run.template operator()<uint32_t>();
      break;
    default:
      run.template operator()<uint64_t>();
      break;
  }
  return y;
}

/// Bytes of one step along `axis`, and how many such runs there are before it.
struct Blocks {
  size_t bytes;
  int64_t outer = 1;
  Blocks(const Tensor& x, int axis) : bytes(size_of(x.dtype())) {
    for (int i = 0; i < x.rank(); ++i)
      if (i < axis)
        outer *= x.shape()[i];
      else if (i > axis)
        bytes *= size_t(x.shape()[i]);
  }
};

/// Copies `count` steps along `axis` from step x_at of x to step y_at of y.
void copy_along(int axis, const Tensor& x, int64_t x_at, Tensor& y, int64_t y_at, int64_t count) {
  const Blocks blocks(x, axis);
  const auto* from = static_cast<const std::byte*>(x.raw());
  auto* to = static_cast<std::byte*>(y.raw());
  const int64_t x_size = x.shape()[axis], y_size = y.shape()[axis];
  for (int64_t o = 0; o < blocks.outer && count > 0; ++o)
    std::memcpy(to + size_t(o * y_size + y_at) * blocks.bytes,
                from + size_t(o * x_size + x_at) * blocks.bytes, size_t(count) * blocks.bytes);
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
  const Shape& first = parts[0].shape();
  first.size(axis);
  const int at = axis < 0 ? axis + first.rank() : axis;
  int64_t total = 0;
  std::vector<int64_t> sizes;
  for (const Tensor& part : parts) {
    check<ShapeError>(
        part.rank() == first.rank() && resized(part.shape(), at, 0) == resized(first, at, 0),
        "concat: {} and {} differ beside axis {}", first.str(), part.shape().str(), axis);
    check<DtypeError>(part.dtype() == parts[0].dtype(), "concat: dtypes {} and {} differ",
                      name_of(parts[0].dtype()), name_of(part.dtype()));
    sizes.push_back(part.size(at));
    total += sizes.back();
  }
  Tensor y = Tensor::empty(resized(first, at, total), parts[0].dtype());
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    copy_along(at, part, 0, y, begin, part.size(at));
    begin += part.size(at);
  }
  return record("concat", y, parts, [at, sizes](const Tensor& g) {
    std::vector<Tensor> grads;
    int64_t from = 0;
    for (int64_t size : sizes) {
      grads.push_back(Tensor::empty(resized(g.shape(), at, size), g.dtype()));
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
