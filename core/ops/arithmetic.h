#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Elementwise arithmetic of f32, f64 or bf16, with NumPy broadcasting. Both sides have one dtype
/// (DtypeError), or are bf16 and f32, both taken as f32. A number takes the dtype of the tensor
/// beside it, f32 beside bf16, and leaves the result that of the tensor. ShapeError naming both
/// shapes if they do not broadcast. Gradients of broadcast inputs are summed back to their shapes.

Tensor add(const Tensor& a, const Tensor& b);
Tensor sub(const Tensor& a, const Tensor& b);
Tensor mul(const Tensor& a, const Tensor& b);
Tensor div(const Tensor& a, const Tensor& b);
/// The larger, the smaller; where both are equal each gets half of the gradient.
Tensor maximum(const Tensor& a, const Tensor& b);
Tensor minimum(const Tensor& a, const Tensor& b);
Tensor maximum(const Tensor& a, double b);
Tensor minimum(const Tensor& a, double b);

Tensor neg(const Tensor& x);
/// |x|; gradient sign(x), 0 at 0.
Tensor abs(const Tensor& x);
Tensor exp(const Tensor& x);
Tensor log(const Tensor& x);
Tensor sqrt(const Tensor& x);
Tensor square(const Tensor& x);
/// min(max(x, low), high); the gradient passes where low <= x <= high, ends included.
Tensor clamp(const Tensor& x, double low, double high);
/// To the nearest integer, half to even. Its gradient is zero, so the result is outside the graph.
Tensor round(const Tensor& x);
/// -1, 0 or +1. Its gradient is zero, so the result is outside the graph.
Tensor sign(const Tensor& x);

Tensor operator-(const Tensor& x);
Tensor operator+(const Tensor& a, const Tensor& b);
Tensor operator-(const Tensor& a, const Tensor& b);
Tensor operator*(const Tensor& a, const Tensor& b);
Tensor operator/(const Tensor& a, const Tensor& b);
Tensor operator+(const Tensor& a, double b);
Tensor operator-(const Tensor& a, double b);
Tensor operator*(const Tensor& a, double b);
Tensor operator/(const Tensor& a, double b);
Tensor operator+(double a, const Tensor& b);
Tensor operator-(double a, const Tensor& b);
Tensor operator*(double a, const Tensor& b);
Tensor operator/(double a, const Tensor& b);

}  // namespace apprentice
