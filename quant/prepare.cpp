#include <apprentice/quant/prepare.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/text.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/on_device.h>

namespace apprentice::quant {
namespace {

constexpr const char* kNone = "none";
/// Bits of outputs of both signs. They are read as shortcuts only, a byte each whatever their bits.
constexpr int kSignedBits = 8;
/// Buffer of a rescaled weight: its factor c.
constexpr const char* kGain = "weight_gain";

struct Attached {
  Layer layer;
  std::shared_ptr<WeightQuantizer> weights;
};

void check_pattern(const std::string& key, const std::string& pattern,
                   const std::vector<Layer>& all) {
  std::vector<std::string> names;
  for (const Layer& layer : all) names.push_back(layer.name);
  const bool found = std::any_of(names.begin(), names.end(),
                                 [&](const std::string& name) { return matches(pattern, name); });
  check<ConfigError>(found, "quant.{} is '{}', which matches no layer{}; layers: {}", key, pattern,
                     did_you_mean(pattern, names), join(names, ", "));
}

void check_fits(const Policy& policy, const std::vector<Layer>& all) {
  validate(policy);
  for (const std::string& pattern : policy.keep) check_pattern("keep", pattern, all);
  for (size_t i = 0; i < policy.overrides.size(); ++i)
    check_pattern(fmt::format("overrides[{}].layers", i), policy.overrides[i].layers, all);
  for (const Layer& layer : all)
    check<ConfigError>(!layer.weights() && !layer.activations(),
                       "quant: {} is quantized already, expected an unquantized model", layer.name);
}

std::shared_ptr<WeightQuantizer> attach_weights(const Layer& layer, const LayerPolicy& policy) {
  if (policy.weights == kNone) return nullptr;
  auto quantizer = quantizers()
                       .get(policy.weights)
                       .make({.bits = policy.w_bits, .per_channel = policy.per_channel});
  quantizer->attach(*layer.module);
  if (quantizer->wants_rescale() && layer.fused)
    layer.module->add_buffer(kGain, Tensor::full({1}, 1));
  layer.module->parametrize("weight", quantizer);
  return quantizer;
}

void attach_activations(const Layer& layer, const LayerPolicy& policy) {
  if (policy.activations == kNone || !layer.fused) return;
  const ActivationMethod& method = activation_quantizers().get(policy.activations);
  const bool is_signed = !layer.fused->options().relu;
  check<ConfigError>(method.is_signed || !is_signed,
                     "quant: {} has no ReLU, but {} takes outputs of at least 0 only", layer.name,
                     policy.activations);
  auto quantizer =
      method.make({.bits = is_signed ? kSignedBits : policy.a_bits, .is_signed = is_signed});
  quantizer->attach(layer.module->add_buffer("act_scale", quantizer->step().clone()));
  layer.fused->set_activation(std::move(quantizer));
}

std::vector<Attached> attach_all(nn::Module& model, const Policy& policy) {
  const Device device = model.device();
  const std::vector<Layer> all = layers(model);
  check_fits(policy, all);
  std::vector<Attached> attached;
  for (const Layer& layer : all) {
    const LayerPolicy choice = policy_for(policy, layer.name);
    attached.push_back({layer, attach_weights(layer, choice)});
    attach_activations(layer, choice);
  }
  model.to(device);  // what was added, too
  return attached;
}

/// value = fn(value) for all elements of x, worked out on the host.
template <class Fn>
void map_in_place(Tensor x, const Fn& fn) {
  Tensor host = x.to(Device{});
  float* value = host.data<float>();
  for (int64_t i = 0, n = host.numel(); i < n; ++i) value[i] = fn(value[i]);
  if (host.device() != x.device()) x.copy_from(host);
}

/// w *= c with the quantizer's gain c, absorbed by the batch norm that follows. Its eps is not
/// rescaled, so the variance makes up for it: channels of CIFAR teachers have variances down to
/// 7e-5, beside an eps of 1e-5, and c^2 var alone moved logits by 1e-3.
void rescale(const Layer& layer, float c) {
  const Tensor w = layer.module->parameter("weight");
  const auto by_c = [c](float value) { return value * c; };
  map_in_place(w, by_c);
  map_in_place(layer.fused->bn().buffer("running_mean"), by_c);
  const double eps = layer.fused->bn().options().eps, squared = double(c) * double(c);
  map_in_place(layer.fused->bn().buffer("running_var"), [=](float value) {
    return float(std::max(squared * (double(value) + eps) - eps, 0.0));
  });
  layer.module->buffer(kGain).fill(c);
}

/// Takes the quantizers off a model and puts them on again when it goes; restores train mode, too.
class FullPrecision {
 public:
  explicit FullPrecision(nn::Module& model) : model_(model), training_(model.training()) {
    for (const Layer& layer : layers(model)) {
      weights_.emplace_back(layer.module, layer.module->parametrization("weight"));
      layer.module->parametrize("weight", nullptr);
      if (!layer.fused) continue;
      activations_.emplace_back(layer.fused, layer.fused->activation());
      layer.fused->set_activation(nullptr);
    }
    model.eval();
  }
  ~FullPrecision() {
    for (auto& [module, parametrization] : weights_) module->parametrize("weight", parametrization);
    for (auto& [fused, activation] : activations_) {
      fused->set_observer({});
      fused->set_activation(activation);
    }
    model_.train(training_);
  }
  FullPrecision(const FullPrecision&) = delete;
  FullPrecision& operator=(const FullPrecision&) = delete;

 private:
  nn::Module& model_;
  bool training_;
  std::vector<std::pair<nn::Module*, std::shared_ptr<const nn::Parametrization>>> weights_;
  std::vector<std::pair<nn::ConvBn2d*, std::shared_ptr<nn::ActivationTransform>>> activations_;
};

/// Hands the outputs of a layer to its quantizer; the first tells how many values an image gives.
void watch(nn::ConvBn2d& layer, const std::shared_ptr<ActivationQuantizer>& quantizer,
           int64_t images) {
  layer.set_observer([quantizer, images, begun = false](const nn::Observation& seen) mutable {
    const Tensor& y = seen.y.data;
    if (!std::exchange(begun, true)) quantizer->begin_calibration(images * (y.numel() / y.size(0)));
    quantizer->observe(y);
  });
}

std::vector<QuantizedLayer> quantized_layers(const std::vector<Layer>& layers) {
  std::vector<QuantizedLayer> quantized;
  for (const Layer& layer : layers)
    if (const auto quantizer = layer.weights())
      quantized.push_back({quantizer, layer.module->parameter("weight")});
  return quantized;
}

}  // namespace

std::shared_ptr<const WeightQuantizer> Layer::weights() const {
  return std::dynamic_pointer_cast<const WeightQuantizer>(module->parametrization("weight"));
}

std::shared_ptr<ActivationQuantizer> Layer::activations() const {
  return fused ? std::dynamic_pointer_cast<ActivationQuantizer>(fused->activation()) : nullptr;
}

std::vector<Layer> layers(nn::Module& model) {
  const auto modules = model.named_modules();
  std::map<const nn::Module*, nn::ConvBn2d*> fused;
  for (const auto& [name, module] : modules)
    if (auto* layer = dynamic_cast<nn::ConvBn2d*>(module)) fused[&layer->conv()] = layer;
  std::vector<Layer> all;
  for (const auto& [name, module] : modules) {
    if (!dynamic_cast<nn::Conv2d*>(module) && !dynamic_cast<nn::Linear*>(module)) continue;
    const auto it = fused.find(module);
    all.push_back({name, module, it == fused.end() ? nullptr : it->second});
  }
  return all;
}

void attach(nn::Module& model, const Policy& policy) { attach_all(model, policy); }

void prepare(nn::Module& model, const Policy& policy) {
  NoGrad no_grad;
  for (const auto& [layer, quantizer] : attach_all(model, policy)) {
    if (!quantizer) continue;
    const Tensor w = layer.module->parameter("weight").detach();
    if (quantizer->wants_rescale() && layer.fused) rescale(layer, quantizer->gain(w));
    quantizer->initialise(w);
  }
}

void calibrate(nn::TensorModule& model, const std::vector<Tensor>& batches) {
  std::vector<std::pair<nn::ConvBn2d*, std::shared_ptr<ActivationQuantizer>>> quantizers;
  for (const Layer& layer : layers(model))
    if (const auto quantizer = layer.activations()) quantizers.emplace_back(layer.fused, quantizer);
  if (quantizers.empty()) return;
  int64_t images = 0;
  for (const Tensor& batch : batches) images += batch.size(0);
  check(images > 0, "calibrate: no images");
  NoGrad no_grad;
  const nn::OnDevice on_host(model, Device{});
  {
    FullPrecision full_precision(model);
    for (auto& [layer, quantizer] : quantizers) watch(*layer, quantizer, images);
    for (const Tensor& batch : batches) model.forward(batch.to(Device{}));
  }
  for (auto& [layer, quantizer] : quantizers) quantizer->finish_calibration();
}

std::map<std::string, ParameterRule> parameter_rules(nn::Module& model) {
  std::map<std::string, ParameterRule> rules;
  for (const Layer& layer : layers(model)) {
    const auto quantizer = layer.weights();
    if (!quantizer) continue;
    const std::string prefix = layer.name + ".";
    for (const std::string& name : quantizer->learned())
      rules[prefix + name].weight_decay_scale = 0;
    if (!quantizer->wants_rescale() || !layer.fused) continue;
    const double c = layer.module->buffer(kGain).item();
    rules[prefix + "weight"] = {c * c, 1 / (c * c)};
  }
  return rules;
}

void apply_step(nn::Optimizer& optimizer, nn::Module& model) {
  apply_step(optimizer, quantized_layers(layers(model)));
}

std::vector<LayerHealth> health(nn::Module& model) {
  const std::vector<Layer> own = layers(model);
  const std::vector<double> zeros = zero_parts(quantized_layers(own));
  auto next_zeros = zeros.begin();
  std::vector<LayerHealth> all;
  for (const Layer& layer : own) {
    LayerHealth entry{.layer = layer.name, .zeros = -1, .saturated = -1};
    if (const auto quantizer = layer.weights()) {
      const QuantizedWeight q = quantizer->quantized(layer.module->parameter("weight").detach());
      const std::vector<float> s = q.scale.to_vector<float>();
      entry.zeros = *next_zeros++;
      entry.flips = quantizer->take_flips();
      entry.scale = *std::min_element(s.begin(), s.end());
      if (q.scale_negative) entry.scale_negative = float(q.scale_negative.item());
    }
    if (const auto quantizer = layer.activations()) entry.saturated = quantizer->saturated();
    if (entry.zeros >= 0 || entry.saturated >= 0) all.push_back(entry);
  }
  return all;
}

nn::StateDict flip_counts(nn::Module& model) {
  nn::StateDict counts;
  for (const Layer& layer : layers(model))
    if (const auto quantizer = layer.weights(); quantizer && quantizer->flip_counts().defined())
      counts[layer.name] = quantizer->flip_counts();
  return counts;
}

void load_flip_counts(nn::Module& model, const nn::StateDict& counts) {
  if (counts.empty()) return;
  quantize_all(quantized_layers(layers(model)));
  nn::StateDict now = flip_counts(model);
  for (auto& [name, tensor] : now)
    if (const auto it = counts.find(name); it != counts.end()) {
      const Tensor& saved = it->second;
      check<DamagedFile>(saved.shape() == tensor.shape() && saved.dtype() == tensor.dtype(),
                         "flip counts of {}: {} {}, expected {} {}", name, name_of(saved.dtype()),
                         saved.shape().str(), name_of(tensor.dtype()), tensor.shape().str());
      tensor.copy_from(saved);
    }
}

}  // namespace apprentice::quant
