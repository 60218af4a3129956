#pragma once

#include <vector>

#include <apprentice/core/ops/batch_norm.h>
#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Batch normalisation over all axes but the last (core/ops/batch_norm.h): batch statistics in
/// train mode, which also move the running ones; running statistics in eval mode.
///   x [n, h, w, c] -> the same; weight = 1, bias = 0, running_mean = 0, running_var = 1 at first,
///   all [c]
/// ConfigError unless channels > 0, eps > 0 and 0 <= momentum <= 1.
class BatchNorm2d final : public TensorModule {
 public:
  struct Options {
    int64_t channels = 0;
    float eps = 1e-5f;
    float momentum = 0.1f;
  };
  explicit BatchNorm2d(const Options& options);

  Tensor forward(const Tensor& x) override { return forward(x, {}); }
  /// With residual, ReLU and steps as `extra` says; its eps and momentum are replaced by this
  /// layer's.
  Tensor forward(const Tensor& x, BatchNormOptions extra);

  const Options& options() const { return options_; }

  /// Eval mode as y = a x + b: a = weight / sqrt(running_var + eps), b = bias - running_mean a,
  /// computed in double; both [c].
  struct Affine {
    std::vector<double> a, b;
  };
  Affine affine() const;

 private:
  Options options_;
};

}  // namespace apprentice::nn
