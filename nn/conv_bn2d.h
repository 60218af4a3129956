#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <apprentice/nn/batch_norm2d.h>
#include <apprentice/nn/conv2d.h>
#include <apprentice/nn/scaled.h>

namespace apprentice::nn {

/// What turns the output of a ConvBn2d into codes. Activation quantizers implement it.
class ActivationTransform {
 public:
  virtual ~ActivationTransform() = default;
  /// Training: real values -> codes and step, differentiable by the surrogate gradient it states.
  virtual Scaled apply(const Tensor& real) = 0;
  /// Eval mode needs only the grid: codes in [0, max_code()], value = step * code. step() is [1]
  /// f32.
  virtual Tensor step() const = 0;
  virtual int64_t max_code() const = 0;
};

/// What a ConvBn2d hands to its observer after an eval forward.
struct Observation {
  Tensor sums;  ///< [n, p, q, out] accumulators in f32, undefined for a layer without activation
  Tensor sums_negative;  ///< two-step weights: sums of x over the codes below zero; `sums` over
                         ///< those above
  Scaled y;              ///< what the layer returns
};

/// Convolution, batch normalisation, optional residual add and ReLU, optional quantization of the
/// result, as one layer, since the integer contract folds them into one epilogue
/// (docs/numerics.md).
///   y = quantize?( relu?( bn(conv(x)) + residual ) )
/// Its state lies in two children, "conv1" and "bn1" as files name them; a parent registers it
/// under the empty name so that the keys stay `conv1.weight`, `bn1.weight`, ...
///
/// Training mode convolves codes where there are codes, batch statistics absorb the steps.
/// Eval mode: plain layers fold batch norm into the convolution; a layer whose output is quantized
/// uses kernels::epilogue exactly as the packed network does, on integer accumulators where x and
/// weight are codes, or on the ordered f32 sums of the stem kernel where x is real.
class ConvBn2d final : public Module {
 public:
  struct Options {
    std::string conv_name = "conv1", bn_name = "bn1";
    Conv2d::Options conv;
    bool relu = true;
  };
  ConvBn2d(const Options& options, Rng& rng);

  Scaled forward(const Scaled& x, const Scaled& residual = {});

  const Options& options() const { return options_; }
  Conv2d& conv() { return *conv_; }
  BatchNorm2d& bn() { return *bn_; }
  /// Quantizes the output from now on; null takes it off.
  void set_activation(std::shared_ptr<ActivationTransform> activation) {
    activation_ = std::move(activation);
  }
  const std::shared_ptr<ActivationTransform>& activation() const { return activation_; }
  /// Called after each eval forward (calibration, verification); an empty one takes it off.
  void set_observer(std::function<void(const Observation&)> observer) {
    observer_ = std::move(observer);
  }

 private:
  Scaled forward_train(const Scaled& x, const Scaled& residual);
  Scaled forward_eval(const Scaled& x, const Scaled& residual);
  Scaled forward_eval_codes(const Scaled& x, const EffectiveWeight& weight, const Scaled& residual);

  Options options_;
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> bn_;
  std::shared_ptr<ActivationTransform> activation_;
  std::function<void(const Observation&)> observer_;
};

}  // namespace apprentice::nn
