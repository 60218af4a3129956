#pragma once

#include <initializer_list>
#include <span>
#include <vector>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Rearrangements: new memory, same elements, any dtype; differentiable for f32, f64 and bf16.

/// Axis i of the result is axis axes[i] of x; ShapeError unless `axes` is a permutation.
Tensor permute(const Tensor& x, std::span<const int> axes);
Tensor permute(const Tensor& x, std::initializer_list<int> axes);
/// Two axes exchanged; negative ones count from the end.
Tensor transpose(const Tensor& x, int a, int b);
/// Joined along `axis`; all other sizes and the dtypes agree, or bf16 and f32 are joined as f32.
Tensor concat(const std::vector<Tensor>& parts, int axis);
/// Repeated along axes of size 1 and new leading axes, as NumPy broadcasts.
Tensor broadcast_to(const Tensor& x, const Shape& shape);

}  // namespace apprentice
