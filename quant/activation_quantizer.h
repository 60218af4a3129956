#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <apprentice/base/registry.h>
#include <apprentice/nn/conv_bn2d.h>

namespace apprentice::quant {

/// Quantizes the output of one layer to a step times codes 0 .. 2^bits - 1, or, where it has both
/// signs, to a step times those codes minus zero_point(), 2^(bits-1). The step lives in the buffer
/// `act_scale` [1] of the layer's convolution (key `layer1.0.conv1.act_scale`), so it is saved.
class ActivationQuantizer : public nn::ActivationTransform {
 public:
  /// The name in activation_quantizers().
  virtual std::string_view name() const = 0;
  virtual int bits() const = 0;
  /// The grid in words.
  virtual std::string grid() const = 0;
  /// Shares `act_scale`, [1] f32, with the layer.
  virtual void attach(Tensor act_scale) = 0;

  /// Calibration, in three calls. begin() is told how many values observe() will see in all;
  /// finish() fixes the step.
  virtual void begin_calibration(int64_t values) = 0;
  virtual void observe(const Tensor& real) = 0;
  virtual void finish_calibration() = 0;

  /// Part of the values of the last training forward that lay on the highest code, or, of a signed
  /// output, on the highest or lowest, in [0, 1].
  virtual double saturated() const = 0;
};

/// How a layer asks for an activation quantizer.
struct ActivationOptions {
  int bits = 8;
  bool is_signed = false;  ///< for outputs of both signs: the layer has no ReLU
};

/// What an activation quantizer registers: allowed options, a maker.
struct ActivationMethod {
  std::vector<int> bits;   ///< values of a_bits that it takes
  bool is_signed = false;  ///< does it take outputs of both signs (with 8 bits)?
  std::function<std::shared_ptr<ActivationQuantizer>(const ActivationOptions&)> make;
};

/// Every activation quantizer by name ("wrpn"), those of this library included.
Registry<ActivationMethod>& activation_quantizers();

}  // namespace apprentice::quant
