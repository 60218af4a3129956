#pragma once

#include <apprentice/core/ops/pool.h>
#include <apprentice/nn/module.h>
#include <apprentice/nn/observation.h>

namespace apprentice::nn {

/// Largest value of each window: x [n, h, w, c] -> [n, p, q, c].
class MaxPool2d final : public TensorModule {
 public:
  explicit MaxPool2d(const Pool2dOptions& options) : options_(options) {}
  Tensor forward(const Tensor& x) override { return max_pool2d(x, options_); }
  /// Of codes: the largest code, since a larger value never has a smaller one.
  Scaled forward(const Scaled& x);

  const Pool2dOptions& options() const { return options_; }
  /// Called after each eval forward of a Scaled outside the graph; an empty one takes it off.
  void set_observer(Observer observer) { observer_ = std::move(observer); }

 private:
  Pool2dOptions options_;
  Observer observer_;
};

/// Mean of each window: x [n, h, w, c] -> [n, p, q, c].
class AvgPool2d final : public TensorModule {
 public:
  explicit AvgPool2d(const Pool2dOptions& options) : options_(options) {}
  Tensor forward(const Tensor& x) override { return avg_pool2d(x, options_); }

 private:
  Pool2dOptions options_;
};

/// Mean over height and width: x [n, h, w, c] -> [n, c].
class GlobalAvgPool2d final : public TensorModule {
 public:
  Tensor forward(const Tensor& x) override { return global_avg_pool2d(x); }
  /// The real mean of a coded map. Outside the graph the codes, at most 255, are summed as integers
  /// and the sum is scaled once by step / (h w), as the packed network does (docs/numerics.md, 4).
  /// ConfigError for codes with a zero point.
  Tensor forward(const Scaled& x);
};

}  // namespace apprentice::nn
