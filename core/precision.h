#pragma once

#include <string_view>

#include <apprentice/core/tensor.h>
#include <apprentice/kernels/precision.h>

namespace apprentice {

using kernels::Precision;

/// What networks are computed in on this thread; f32 at first. A permission: the CPU keeps f32
/// whatever it is. On other devices
///   tf32  convolutions and matrix products may round their factors to TF32; tensors stay f32
///   bf16  they may round them to bf16, and activations with their gradients lie in memory as bf16
///
/// bf16 is storage: kernels compute in f32 and round what they write once. Stored so is what
/// conv2d and batch_norm give (activation_dtype), then whatever is made of it: elementwise results,
/// pools, shortcuts. f32 stay parameters and their gradients, batch statistics, all sums, what a
/// global average pooling gives and with it logits and losses, and the sums of integers that a
/// convolution of codes or quantized weights gives (Conv2dOptions::exact). Integers of up to 8 bits
/// are exact in bf16, so the codes of a quantized network do not depend on the precision.
///
/// A tensor of bf16 may be given to every operation, on every device: one that has no kernel for it
/// takes it as f32 (widened) and gives f32. Two tensors of an operation, one bf16 and one f32, are
/// both taken as f32. A gradient has the dtype of its tensor.
Precision current_precision();
/// The one of such a name; ConfigError for another.
Precision parse_precision(std::string_view name);

/// The dtype of the activations that a layer of f32 numbers makes of x: bf16 where x is, or where x
/// is f32 on another device than the CPU and the precision is bf16; else that of x.
Dtype activation_dtype(const Tensor& x);

/// x in `dtype` if one of both is bf16, else x itself, whose dtype the caller then checks.
/// Differentiable, by conversion of the gradient.
Tensor stored_as(const Tensor& x, Dtype dtype);
/// x in f32 if it is bf16, else x itself. Differentiable.
Tensor widened(const Tensor& x);
/// Is one of them bf16 and the other f32? Then both are to be widened.
bool differ_in_storage(const Tensor& a, const Tensor& b);

/// Another precision while it is alive. Gradients are computed in that of their forward.
class PrecisionGuard {
 public:
  explicit PrecisionGuard(Precision precision);
  ~PrecisionGuard();
  PrecisionGuard(const PrecisionGuard&) = delete;
  PrecisionGuard& operator=(const PrecisionGuard&) = delete;

 private:
  Precision before_;
};

}  // namespace apprentice
