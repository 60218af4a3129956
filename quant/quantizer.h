#pragma once

#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <apprentice/base/registry.h>
#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/nn/module.h>
#include <apprentice/nn/optimizer.h>

namespace apprentice::quant {

/// A weight in its packed form: w ~ scale * code, with scale_negative in place of scale for codes
/// below zero where it is defined.
struct QuantizedWeight {
  Tensor codes;           ///< integers held in f32, the shape of the weight, |code| <= max_code
  Tensor scale;           ///< f32 [1], or [out] along the first axis; > 0 unless learned
  Tensor scale_negative;  ///< f32 [1], two-step grids (TTQ) only
  int64_t max_code = 1;   ///< 1: stored in 2 bits; at most 7: stored in 4
};
/// The weight that the codes stand for, f32: one product an element, so what every layer computes
/// with.
Tensor dequantize(const QuantizedWeight& weight);

/// How codes follow from a weight, in the words of kernels::QuantizeWeights: so the weights of all
/// layers can be quantized in one pass.
struct WeightRule {
  kernels::QuantizeWeights::Rule rule;
  double factor;
  bool per_channel = false;  ///< one row an output channel instead of one a layer
  /// After a step masters are clamped to [-bound, bound].
  float bound = std::numeric_limits<float>::infinity();
};

/// A weight quantizer of one layer: grid, bound, surrogate gradient and packed form. Masters are
/// f32.
class WeightQuantizer : public nn::Parametrization,
                        public std::enable_shared_from_this<WeightQuantizer> {
 public:
  /// The name in quantizers().
  virtual std::string_view name() const = 0;
  /// Bits of a stored code: 2 or 4.
  virtual int bits() const = 0;
  /// The grid in words: "s {-1, 0, +1}, s = ...".
  virtual std::string grid() const = 0;
  /// How the codes are made; none: quantize() is overridden.
  virtual std::optional<WeightRule> rule() const { return std::nullopt; }
  /// Codes and scales of the master weight `w` [out, ...] f32, beside it: by operations on tensors,
  /// as `w` may lie on any device. DtypeError for another type. By default what the rule gives.
  virtual QuantizedWeight quantize(const Tensor& w) const;
  /// quantize(w), or what the last pass (quantize_all(), apply_step()) has made of this very memory
  /// if nobody has asked to write to it since. The codes are then overwritten by the next pass.
  /// DeviceError naming this quantizer if quantize() does not work on the device of `w`.
  QuantizedWeight quantized(const Tensor& w) const;
  /// Which part of the codes has changed its sign (-, 0, +) in a pass, as the mean of those since
  /// the last call; -1 if there was none. Waits for the device.
  double take_flips() const;
  /// What it counts for that since, [2] i64 as kernels::QuantizeWeights says, sharing memory;
  /// undefined before the first pass.
  Tensor flip_counts() const { return made_.flips; }
  /// The largest |w - dequantize(quantize(w))| that the rule allows, element by element, in exact
  /// arithmetic; rounding to f32 adds at most 4 ulp of max(|w|, scale).
  virtual Tensor error_bound(const Tensor& w) const = 0;

  /// Does it want weights of another size than full-precision ones have? prepare() then multiplies
  /// the weight by gain(), which batch normalisation absorbs.
  virtual bool wants_rescale() const { return false; }
  /// The factor, > 0; 1 where there is nothing to scale by. WRPN: 1 / max|w|.
  virtual float gain(const Tensor& w) const;
  /// Adds the parameters that this quantizer learns to `layer`; called once, before initialise().
  virtual void attach(nn::Module& layer);
  /// Sets them from the weight that the layer starts from.
  virtual void initialise(const Tensor& w);
  /// Names of the parameters that attach() adds: no weight decay on them.
  virtual std::vector<std::string> learned() const { return {}; }
  /// What has to happen to the master weight after an optimizer step, beside what the bound of a
  /// rule says.
  virtual void after_step(Tensor w) const;

  /// One-step grids: data = codes in f32, with d L/d w = weight_gradient(d L/d codes); the step is
  /// not differentiated. Takes quantized().
  nn::EffectiveWeight apply(const Tensor& parameter, bool training) const override;
  /// Gives back the memory of the last pass.
  void forget() const override { made_ = {}; }

 protected:
  /// What codes and scales by the rule stand for: one step a row, unless the layer learns its own.
  virtual QuantizedWeight of_codes(const Tensor& codes, const Tensor& scale) const;
  /// Straight-through (Bengio et al. 2013): d(step * code)/dw = 1, so d code/dw = 1/step.
  virtual Tensor weight_gradient(const Tensor& grad_codes, const Tensor& w,
                                 const QuantizedWeight& q) const;

 private:
  friend class WeightPass;
  /// Codes and scales of `of` when it had been written to so often; flips [2] i64 as
  /// kernels::QuantizeWeights counts them.
  struct Made {
    Tensor of, codes, scale, flips;
    uint64_t written = 0;
  };
  mutable Made made_;
};

/// One quantizer and the master weight that it quantizes.
struct QuantizedLayer {
  std::shared_ptr<const WeightQuantizer> quantizer;
  Tensor weight;
};
/// Codes and scales of all these weights in one pass, for quantized(), without waiting for the
/// device; those whose quantizer has no rule are left out. On a device it is one launch, and a
/// second one where weights that share a scale are more than 8,192.
void quantize_all(const std::vector<QuantizedLayer>& layers);
/// optimizer.apply_step() and, in the launches that move the weights, quantize_all() of them, bit
/// for bit; weights that it does not move are quantized in a pass of their own.
void apply_step(nn::Optimizer& optimizer, const std::vector<QuantizedLayer>& layers);
/// Which part of the codes of each layer is 0; waits for the device.
std::vector<double> zero_parts(const std::vector<QuantizedLayer>& layers);

/// How a policy asks for a weight quantizer.
struct WeightOptions {
  int bits = 2;
  bool per_channel = false;  ///< one scale an output channel instead of one a layer
};

/// What a weight quantizer registers: allowed options, the laws it claims (tested for each), a
/// maker.
struct WeightMethod {
  std::vector<int> bits;     ///< values of w_bits that it takes
  bool per_channel = false;  ///< does it take one scale an output channel?
  bool scale_free = false;   ///< law: codes(2w) = codes(w), scale(2w) = 2 scale(w)
  bool idempotent = false;   ///< law: codes(dequantize(quantize(w))) = codes(w)
  std::function<std::shared_ptr<WeightQuantizer>(const WeightOptions&)> make;
};

/// Every weight quantizer by name ("twn", "ttq", "wrpn"), those of this library included.
Registry<WeightMethod>& quantizers();

}  // namespace apprentice::quant
