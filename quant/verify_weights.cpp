#include <memory>
#include <utility>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/prepare.h>
#include <apprentice/quant/unpack_internal.h>
#include <apprentice/quant/verify_internal.h>

namespace apprentice::quant {
namespace {

/// A weight that somebody else has decoded.
class Decoded final : public nn::Parametrization {
 public:
  explicit Decoded(Tensor weight) : weight_(std::move(weight)) {}
  nn::EffectiveWeight apply(const Tensor&, bool) const override { return {weight_, {}, {}, 0}; }

 private:
  Tensor weight_;
};

/// Replaces the quantizers of a model by decoded weights, until it goes.
class DecodedWeights {
 public:
  DecodedWeights(nn::Module& model, const UnpackedFile& file) {
    for (const Layer& layer : layers(model)) {
      const auto found = file.weights.find(layer.name);
      if (found == file.weights.end()) continue;
      decoded_.push_back({layer.module, layer.module->parametrization("weight"),
                          std::make_shared<Decoded>(dequantize(found->second))});
    }
  }
  ~DecodedWeights() { use(false); }
  DecodedWeights(const DecodedWeights&) = delete;
  DecodedWeights& operator=(const DecodedWeights&) = delete;

  void use(bool decoded) {
    for (const auto& [module, own, other] : decoded_)
      module->parametrize("weight", decoded ? other : own);
  }

 private:
  struct Entry {
    nn::Module* module;
    std::shared_ptr<const nn::Parametrization> own, decoded;
  };
  std::vector<Entry> decoded_;
};

void compare_tensor(const std::string& layer, const std::string& name, const Tensor& got,
                    const Tensor& expected, VerifyReport& report) {
  report.integers += expected.numel();
  if (!report.difference.empty()) return;
  if (got.shape() != expected.shape()) {
    report.layer = layer;
    report.difference = fmt::format("{}: {} is {}, expected {}", layer, name, got.shape().str(),
                                    expected.shape().str());
    return;
  }
  const float* a = got.data<float>();
  const float* b = expected.data<float>();
  for (int64_t i = 0, n = expected.numel(); i < n; ++i) {
    if (a[i] == b[i]) continue;
    report.layer = layer;
    report.difference = fmt::format("{}: {} {} is {}, expected {}", layer, name, i, a[i], b[i]);
    return;
  }
}

void compare_weights(nn::Module& model, const UnpackedFile& file, VerifyReport& report) {
  for (const Layer& layer : layers(model)) {
    const auto quantizer = layer.weights();
    const auto found = file.weights.find(layer.name);
    check<ConfigError>((quantizer != nullptr) == (found != file.weights.end()),
                       "verify: {} is quantized in the {} only", layer.name,
                       quantizer ? "model" : "packed file");
    if (!quantizer) continue;
    const QuantizedWeight q = quantizer->quantize(layer.module->parameter("weight").detach());
    compare_tensor(layer.name, "code", found->second.codes, q.codes, report);
    compare_tensor(layer.name, "scale", found->second.scale, q.scale, report);
    check<ConfigError>(q.scale_negative.defined() == found->second.scale_negative.defined(),
                       "verify: {} has one step on one side and two on the other", layer.name);
    if (q.scale_negative)
      compare_tensor(layer.name, "negative scale", found->second.scale_negative, q.scale_negative,
                     report);
    ++report.layers;
  }
}

void compare_rest(nn::Module& model, const UnpackedFile& file, VerifyReport& report) {
  const nn::StateDict own = rest_of(model);
  for (const auto& [name, tensor] : file.rest.tensors) {
    const auto it = own.find(name);
    check<ConfigError>(it != own.end() && tensor.dtype() == Dtype::f32,
                       "verify: the model has no tensor '{}' in f32", name);
    compare_tensor(name.substr(0, name.rfind('.')), name, tensor, it->second, report);
  }
}

}  // namespace

VerifyReport verify_weights(nn::TensorModule& model, const std::string& path,
                            const BatchSource& batches, const VerifyOptions& options) {
  const UnpackedFile file = read_packed_weights(path);
  VerifyReport report;
  report.weights_only = true;
  compare_weights(model, file, report);
  compare_rest(model, file, report);
  DecodedWeights weights(model, file);
  while (const Tensor batch = batches()) {
    weights.use(false);
    const Tensor expected = model.forward(batch);
    weights.use(true);
    compare_logits(model.forward(batch), expected, options.logit_tolerance, "logits", report);
  }
  return report;
}

}  // namespace apprentice::quant
