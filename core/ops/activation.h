#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Elementwise activations of f32, f64 or bf16, any shape -> the same shape. DtypeError otherwise.

/// max(x, 0); gradient 0 at 0.
Tensor relu(const Tensor& x);
/// min(max(x, 0), 6); gradient 0 at 0 and at 6.
Tensor relu6(const Tensor& x);
/// 1 / (1 + exp(-x))
Tensor sigmoid(const Tensor& x);
Tensor tanh(const Tensor& x);
/// min(max(x, low), high); gradient 0 at low and at high.
Tensor hardtanh(const Tensor& x, double low = -1, double high = 1);
/// x Phi(x) = x (1 + erf(x / sqrt 2)) / 2 (Hendrycks and Gimpel 2016, the exact form).
Tensor gelu(const Tensor& x);
/// x sigmoid(x)
Tensor silu(const Tensor& x);
/// log(1 + exp(x)), without overflow.
Tensor softplus(const Tensor& x);
/// x min(max(x + 3, 0), 6) / 6 (Howard et al. 2019); gradient 0 at -3 and 1 at 3.
Tensor hardswish(const Tensor& x);

}  // namespace apprentice
