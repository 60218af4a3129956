#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Reductions of f32 or f64 over all elements (-> one element, no axes) or over one axis, which
/// goes, or stays with size 1 if `keepdim`. Negative axes count from the end; ShapeError if there
/// is no such axis. Sums are kept in double. Of bf16 the result is f32.

Tensor sum(const Tensor& x);
Tensor sum(const Tensor& x, int axis, bool keepdim = false);
/// Sum over the number of elements; ShapeError if there are none.
Tensor mean(const Tensor& x);
Tensor mean(const Tensor& x, int axis, bool keepdim = false);
/// The largest; the gradient goes to the first of them. ShapeError if there are none.
Tensor max(const Tensor& x);
Tensor max(const Tensor& x, int axis, bool keepdim = false);
/// Where the first largest element of the axis lies, i64; outside the graph.
Tensor argmax(const Tensor& x, int axis, bool keepdim = false);
/// x summed over the axes that broadcasting from `shape` added or stretched: the gradient of
/// broadcast_to. In the dtype of x, bf16 too.
Tensor sum_to(const Tensor& x, const Shape& shape);

}  // namespace apprentice
