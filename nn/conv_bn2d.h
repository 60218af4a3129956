#pragma once

#include <memory>
#include <string>
#include <utility>

#include <apprentice/core/integer_conv2d.h>
#include <apprentice/nn/batch_norm2d.h>
#include <apprentice/nn/conv2d.h>
#include <apprentice/nn/observation.h>

namespace apprentice::nn {

/// What turns the output of a ConvBn2d into codes. Activation quantizers implement it.
class ActivationTransform {
 public:
  virtual ~ActivationTransform() = default;
  /// Training: real values, f32 or f64 -> codes and step, differentiable by the surrogate gradient
  /// it states.
  virtual Scaled apply(const Tensor& real) = 0;
  /// Eval mode needs only the grid: codes in [0, max_code()], value = step * code; [1] f32.
  virtual Tensor step() const = 0;
  virtual int64_t max_code() const = 0;
  /// The code of the value 0: not 0 where the outputs have both signs.
  virtual int64_t zero_point() const { return 0; }
  /// Is apply() what batch norm does with UniformCodes of this step and max_code()? Then a layer
  /// with a ReLU lets batch norm do it in its own pass, and hands the codes, f32 or bf16, to
  /// applied().
  virtual bool uniform() const { return false; }
  virtual void applied(const Tensor& /*codes*/) {}
};

/// Convolution, batch normalisation, optional residual add and ReLU, optional quantization of the
/// result, as one layer: the integer contract folds them into one epilogue (docs/numerics.md).
///   y = quantize?( relu?( bn(conv(x)) + residual ) )
/// Its state lies in two children, "conv1" and "bn1" as files name them; a parent registers it
/// under the empty name so that the keys stay `conv1.weight`, `bn1.weight`, ... The convolution has
/// no bias, whatever its options say: batch norm has one. x must have the zero point 0
/// (ConfigError): outside the image lies code 0.
///
/// In train mode, and wherever a gradient is wanted: codes are convolved where there are codes, and
/// batch norm absorbs the steps and, where the grid is uniform, quantizes. Layers without
/// quantizers may be convolved by Winograd's algorithm. In eval mode outside the graph:
///   no activation quantizer: batch norm and steps are folded into weight and bias, and one pass
///     convolves, adds the residual and clamps;
///   activation quantizer: kernels/epilogue.h exactly as the packed network runs it, on the integer
///     sums where x and weight are codes, else (the stem) on sums in fixed order (groups of 1);
///     the clamp to [0, max_code] is the ReLU (of a signed output, its range). Integers that could
///     reach 2^24, where f32 stops being exact, are summed in s32 (core/integer_conv2d.h);
///     ConfigError if its limits are passed. On another device than the CPU integers are summed in
///     s32 wherever the kernels take them, and the host works out the epilogue's constants at the
///     first forward of an evaluation. In f64, which has no epilogue, the way of train mode is
///     taken. All of it is f32, whatever the precision.
/// Elsewhere outputs and codes may be bf16 (core/precision.h); sums of codes and of quantized
/// weights, and what a quantizer behind batch norm gets and gives, are f32.
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
  /// Called after each eval forward (calibration, verification) with f32 or f64; an empty one takes
  /// it off.
  void set_observer(Observer observer) { observer_ = std::move(observer); }

 protected:
  void forget() override { kept_ = {}; }

 private:
  /// Epilogue constants, each [out]; a_negative with two steps only.
  struct Constants {
    Tensor a, a_negative, b;
  };
  Constants fold(const Scaled& x, const EffectiveWeight& weight, const Scaled& residual,
                 float r) const;
  struct Kept;
  Tensor sums(const Scaled& x, const Tensor& data, int64_t max_code,
              IntegerWeights& integers_kept) const;
  std::shared_ptr<Kept> make_kept(const Scaled& x, const EffectiveWeight& weight,
                                  const Scaled& residual) const;
  std::shared_ptr<Kept> kept_for(const Scaled& x, const EffectiveWeight& weight,
                                 const Scaled& residual);
  Scaled normalized(const Tensor& sums, BatchNormOptions extra);
  Scaled forward_graph(const Scaled& x, const EffectiveWeight& weight, const Scaled& residual);
  Scaled forward_folded(const Scaled& x, const EffectiveWeight& weight, const Scaled& residual);
  Observation forward_codes(const Scaled& x, const EffectiveWeight& weight, const Scaled& residual);

  Options options_;
  std::shared_ptr<Conv2d> conv_;
  std::shared_ptr<BatchNorm2d> bn_;
  std::shared_ptr<ActivationTransform> activation_;
  Observer observer_;
  std::shared_ptr<Kept> kept_;
};

}  // namespace apprentice::nn
