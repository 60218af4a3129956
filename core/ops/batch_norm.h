#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// A uniform grid on which batch_norm may put what it gives:
///   code = clamp(rint(value * (1 / step)), 0, max_code), half to even
/// Its gradient is clipped straight-through: d(step code)/d(value) = 1 for 0 <= value <= step
/// max_code, else 0.
struct UniformCodes {
  Tensor step{};  ///< [1] f32, positive, not differentiated; undefined: no codes
  int64_t max_code = 0;
  /// Undefined, or [like x] u8, which gets the codes, too (max_code of 255 at most).
  Tensor bytes{};
};

/// What batch_norm does besides normalising. Undefined tensors are left out.
struct BatchNormOptions {
  float momentum = 0.1f;  ///< of the running statistics: r = (1 - momentum) r + momentum * batch
  float eps = 1e-5f;
  /// Step of x, [1] or [c]: x holds codes and stands for x_scale * x. The result is that of
  /// normalising the scaled values, got by using eps / x_scale^2 and scaling the statistics, so no
  /// pass over x is spent on the scale. Not differentiated.
  Tensor x_scale{};
  /// Added after normalising, before the ReLU: [like x].
  Tensor residual{};
  /// Step of `residual`, [1]: it stands for residual_scale * residual. Not differentiated.
  Tensor residual_scale{};
  bool relu = false;
  /// If there is a step: y holds the codes of what the ReLU gives. Not in f64.
  UniformCodes codes{};
  /// y is f32 where it could be bf16: somebody quantizes it.
  bool exact = false;
};

/// Batch normalisation over all axes but the last (Ioffe and Szegedy 2015, algorithm 1):
///   y = relu?( weight (x - mean) / sqrt(var + eps) + bias + residual ), biased batch variance.
///   x [..., c], weight, bias, running_mean, running_var [c]; y like x, or codes of it
/// x is f32, f64 or bf16, channels have its dtype, f32 beside bf16. y is stored as activations are
/// (core/precision.h); as f32 if it must be exact, holds codes above 256, or the residual is f32,
/// which is never rounded before it is added.
/// Updates the running statistics in place (unbiased variance). Statistics in f32 sums of double
/// precision or better error. ShapeError if there are fewer than two values a channel.
Tensor batch_norm_train(const Tensor& x, const Tensor& weight, const Tensor& bias,
                        Tensor running_mean, Tensor running_var,
                        const BatchNormOptions& options = {});

/// The same with the running statistics in place of the batch's; they are not updated.
Tensor batch_norm_eval(const Tensor& x, const Tensor& weight, const Tensor& bias,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormOptions& options = {});

}  // namespace apprentice
