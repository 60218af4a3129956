#include <apprentice/core/ops/reduce.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/ops/shape.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/reduce.h>

namespace apprentice {
namespace {

/// x as [outer, axis, inner], and what remains of its shape.
struct Split {
  int64_t outer = 1, axis = 1, inner = 1;
  Shape y;     ///< without the axis, or with 1 in its place if it is kept
  Shape kept;  ///< with 1 in its place

  std::array<int64_t, 3> x_sizes() const { return {outer, axis, inner}; }
  std::array<int64_t, 2> y_sizes() const { return {outer, inner}; }
};

/// Axes [begin, end) as one.
Split split(const Shape& shape, int begin, int end, bool keepdim) {
  Split s;
  for (int i = 0; i < shape.rank(); ++i) {
    const bool reduced = i >= begin && i < end;
    (i < begin ? s.outer : reduced ? s.axis : s.inner) *= shape[i];
    if (!reduced || keepdim) s.y.push_back(reduced ? 1 : shape[i]);
    s.kept.push_back(reduced ? 1 : shape[i]);
  }
  return s;
}
Split split(const Shape& shape, int axis, bool keepdim) {
  shape.size(axis);
  const int at = axis < 0 ? axis + shape.rank() : axis;
  return split(shape, at, at + 1, keepdim);
}
Split split_all(const Tensor& x) { return split(x.shape(), 0, x.rank(), false); }

/// x f32 or f64.
Tensor reduce(const char* op, const Tensor& x, const Split& s, kernels::ReduceKind kind) {
  Tensor y = x.new_empty(s.y);
  with_float(x.dtype(), op, [&]<class T>() {
    launch_beside<kernels::Reduce<T>>(x, {x.as<T>(s.x_sizes()), y.as<T>(s.y_sizes()), kind});
  });
  return y;
}

Tensor sum_over(const Tensor& x, const Split& s) {
  Tensor y = reduce("sum", x, s, kernels::ReduceKind::sum);
  return record("sum", y, {x}, [shape = x.shape(), kept = s.kept](const Tensor& g) {
    return std::vector{broadcast_to(g.reshape(kept), shape)};
  });
}

Tensor mean_over(const Tensor& x, const Split& s) {
  check<ShapeError>(s.axis > 0, "mean: of no elements, in shape {}", x.shape().str());
  Tensor y = reduce("mean", x, s, kernels::ReduceKind::mean);
  return record("mean", y, {x}, [shape = x.shape(), kept = s.kept, n = s.axis](const Tensor& g) {
    return std::vector{broadcast_to((g / double(n)).reshape(kept), shape)};
  });
}

Tensor argmax_over(const Tensor& x, const Split& s) {
  check<ShapeError>(s.axis > 0, "max: of no elements, in shape {}", x.shape().str());
  Tensor y = x.new_empty(s.y, Dtype::i64);
  with_float(x.dtype(), "argmax", [&]<class T>() {
    launch_beside<kernels::ArgMax<T>>(x, {x.as<T>(s.x_sizes()), y.as<int64_t>(s.y_sizes())});
  });
  return y;
}

/// Zeros but for the elements `at` of the axis, which are g.
Tensor scatter(const Tensor& g, const Tensor& at, const Split& s, const Shape& shape) {
  Tensor x = g.new_empty(shape);
  with_float(g.dtype(), "max", [&]<class T>() {
    launch_beside<kernels::ScatterAxis<T>>(
        g, {g.as<T>(s.y_sizes()), at.as<int64_t>(s.y_sizes()), x.as<T>(s.x_sizes())});
  });
  return x;
}

Tensor max_over(const Tensor& x, const Split& s) {
  check<ShapeError>(s.axis > 0, "max: of no elements, in shape {}", x.shape().str());
  Tensor y = reduce("max", x, s, kernels::ReduceKind::max);
  if (!needs_grad(x)) return y;
  return record("max", y, {x},
                [at = Saved(argmax_over(x, s)), s, shape = x.shape()](const Tensor& g) {
                  return std::vector{scatter(g, at.get(), s, shape)};
                });
}

}  // namespace

Tensor sum(const Tensor& x) { return sum_over(widened(x), split_all(x)); }
Tensor sum(const Tensor& x, int axis, bool keepdim) {
  return sum_over(widened(x), split(x.shape(), axis, keepdim));
}
Tensor mean(const Tensor& x) { return mean_over(widened(x), split_all(x)); }
Tensor mean(const Tensor& x, int axis, bool keepdim) {
  return mean_over(widened(x), split(x.shape(), axis, keepdim));
}
Tensor max(const Tensor& x) { return max_over(widened(x), split_all(x)); }
Tensor max(const Tensor& x, int axis, bool keepdim) {
  return max_over(widened(x), split(x.shape(), axis, keepdim));
}
Tensor argmax(const Tensor& x, int axis, bool keepdim) {
  return argmax_over(widened(x), split(x.shape(), axis, keepdim));
}

Tensor sum_to(const Tensor& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  check<ShapeError>(broadcast(shape, x.shape(), "sum_to") == x.shape(),
                    "sum_to: {} does not broadcast to {}", shape.str(), x.shape().str());
  const int added = x.rank() - shape.rank();
  const auto stretched = [&](int i) {
    return i < added || (shape[i - added] == 1 && x.size(i) != 1);
  };
  Tensor y = widened(x);
  for (int begin = 0; begin < x.rank();) {
    int end = begin;
    while (end < x.rank() && stretched(end)) ++end;
    if (end > begin) y = sum_over(y, split(y.shape(), begin, end, true));
    begin = end + 1;
  }
  return stored_as(y.reshape(shape), x.dtype());
}

}  // namespace apprentice

namespace {

using namespace apprentice;
using Reduction = std::function<Tensor(const Tensor&, int axis, bool keepdim)>;

std::vector<OpSample> axis_samples(const Reduction& op, bool empty_axis, Rng& rng) {
  std::vector<OpSample> samples;
  const auto add = [&](const Shape& x, int axis, bool keepdim, const Shape& y) {
    samples.push_back({fmt::format("{} axis {} keepdim {}", x.str(), axis, keepdim),
                       {Tensor::normal(x, 0, 1, rng)},
                       [=](const auto& in) { return op(in[0], axis, keepdim); },
                       y});
  };
  add({3, 5, 2}, 0, false, {5, 2});
  add({3, 5, 2}, 1, true, {3, 1, 2});
  add({3, 5, 2}, -1, false, {3, 5});
  add({7}, 0, false, {});
  add({1, 1}, 0, true, {1, 1});
  add({0, 3}, 1, false, {0});
  if (empty_axis) add({0, 3}, 0, false, {3});
  return samples;
}

}  // namespace

APPRENTICE_UNIT(reduce) {
  const auto whole = [](const char* name, Tensor (*op)(const Tensor&)) {
    op_samples().add(name, [op](Rng& rng) {
      std::vector<OpSample> samples;
      for (const Shape& x : {Shape{}, Shape{1}, Shape{3, 5, 3}})
        samples.push_back({x.str(),
                           {Tensor::normal(x, 0, 1, rng)},
                           [op](const auto& in) { return op(in[0]); },
                           Shape{}});
      return samples;
    });
  };
  const auto axis = [](const char* name, Tensor (*op)(const Tensor&, int, bool), bool empty_axis) {
    op_samples().add(name, [=](Rng& rng) { return axis_samples(op, empty_axis, rng); });
  };
  whole("sum", sum);
  whole("mean", mean);
  whole("max", max);
  axis("sum_axis", sum, true);
  axis("mean_axis", mean, false);
  axis("max_axis", max, false);
  op_samples().add("sum_to", [](Rng& rng) {
    std::vector<OpSample> samples;
    for (const Shape& y : {Shape{}, Shape{1, 3}, Shape{2, 1, 1}, Shape{5, 1}, Shape{2, 5, 3}})
      samples.push_back({y.str(),
                         {Tensor::normal({2, 5, 3}, 0, 1, rng)},
                         [y](const auto& in) { return sum_to(in[0], y); },
                         y});
    return samples;
  });
}
