#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <apprentice/base/registry.h>
#include <apprentice/nn/module.h>

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
  /// Codes and scales of the master weight `w` [out, ...] f32. DtypeError for another type.
  virtual QuantizedWeight quantize(const Tensor& w) const = 0;
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
  /// What has to happen to the master weight after an optimizer step (WRPN clamps it).
  virtual void after_step(Tensor w) const;

  /// One-step grids: data = codes in f32, with d L/d w = weight_gradient(d L/d codes); the step is
  /// not differentiated. Recomputed at every call.
  nn::EffectiveWeight apply(const Tensor& parameter, bool training) const override;

 protected:
  /// Straight-through (Bengio et al. 2013): d(step * code)/dw = 1, so d code/dw = 1/step.
  virtual Tensor weight_gradient(const Tensor& grad_codes, const Tensor& w,
                                 const QuantizedWeight& q) const;
};

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
