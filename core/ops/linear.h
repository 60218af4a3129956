#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

// Of f32 or f64; bf16 tensors are taken as f32, which is what comes out (core/precision.h).

/// C = op(A) op(B), where op transposes if asked. a [m, k] (or [k, m]), b [k, n] (or [n, k]) -> [m,
/// n].
Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a = false, bool transpose_b = false);
/// y = x W^T + b over the last axis: x [..., in], weight [out, in], bias [out] or undefined ->
/// [..., out].
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias = {});

}  // namespace apprentice
