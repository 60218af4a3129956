#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/quant/activation_quantizer.h>
#include <apprentice/quant/policy.h>
#include <apprentice/quant/quantizer.h>

namespace apprentice::quant {

/// A layer with a weight, as policies name it.
struct Layer {
  std::string name;               ///< "layer1.0.conv1", "linear"
  nn::Module* module = nullptr;   ///< holds `weight`
  nn::ConvBn2d* fused = nullptr;  ///< the layer that joins it with its batch norm; null for others

  /// Its quantizers, null where there are none.
  std::shared_ptr<const WeightQuantizer> weights() const;
  std::shared_ptr<ActivationQuantizer> activations() const;
};
/// Every convolution and linear layer, in the order of registration.
std::vector<Layer> layers(nn::Module& model);

/// Attaches quantizers with the parameters and buffers they add, all at their neutral values: what
/// must happen before a quantized state is loaded. ConfigError as validate() gives, for a pattern
/// that matches no layer (naming the layers), and if the model has quantizers already.
void attach(nn::Module& model, const Policy& policy);

/// attach(), then starts every quantizer from the weights that the model has: TTQ scales (mean |w|
/// of each side beyond the threshold), and for WRPN and TTQ weights the rescale that batch norm
/// absorbs, with c the quantizer's gain (WRPN: 1 / max|w|, TTQ: 1 / mean|w| beyond the threshold):
///   w *= c;  running_mean *= c;  running_var = c^2 (running_var + eps) - eps
/// which leaves the full-precision network as it was (docs/numerics.md).
/// Activation ranges start at [0, 1]; calibrate() fixes them.
void prepare(nn::Module& model, const Policy& policy);

/// Fixes the range of each activation quantizer from full-precision activations (weights not
/// quantized, running statistics) of `batches` [n, h, w, c], normalised: [0, r], r the 99.9th
/// percentile of the layer's outputs, step r / (2^bits - 1); without ReLU the percentile of their
/// size, step r / 127. Does nothing without activation
/// quantizers. The mode (train, eval) of the model is left as it was. Runs on the CPU wherever the
/// model lies, so that ranges are the same bits for every device.
void calibrate(nn::TensorModule& model, const std::vector<Tensor>& batches);

/// What a trainer applies to a parameter, beside its own settings.
struct ParameterRule {
  double lr_scale = 1;            ///< factor on the learning rate
  double weight_decay_scale = 1;  ///< factor on the weight decay
};
/// Rules of the parameters that need one, by their full name. Learned scales: no weight decay.
/// Rescaled weights (WRPN, TTQ): lr c^2, weight decay 1/c^2, so that training moves as it would
/// without the rescale. Read from the model's own buffers, so right after loading a checkpoint,
/// too.
std::map<std::string, ParameterRule> parameter_rules(nn::Module& model);

/// optimizer.apply_step() of a model's optimizer: clamps the masters of WRPN weights to [-1, 1] and
/// quantizes the weights of all layers, for the next forward, in the launches that move them.
void apply_step(nn::Optimizer& optimizer, nn::Module& model);

/// How quantization fares in one layer.
struct LayerHealth {
  std::string layer;
  double zeros = 0;      ///< part of the codes that is 0; -1 without a weight quantizer
  double saturated = 0;  ///< part of the activations on the highest code; -1 without one
  float scale = 0;       ///< the smallest; 0 without a weight quantizer
  std::optional<float> scale_negative{};  ///< that of the negative codes, where they have their own
  /// Part of the codes that a step gave another sign, as the mean of the steps since the last
  /// health(); -1 where there was none.
  double flips = -1;
};
/// Waits for the device of the model.
std::vector<LayerHealth> health(nn::Module& model);
/// What is counted for the flips of the next health(), by layer, sharing memory: for checkpoints.
nn::StateDict flip_counts(nn::Module& model);
/// Goes on from such counts: quantizes the weights, for the next step to compare with. Layers that
/// have no quantizer now are left out.
void load_flip_counts(nn::Module& model, const nn::StateDict& counts);

}  // namespace apprentice::quant
