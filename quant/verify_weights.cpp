#include <memory>
#include <utility>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/packed_weight_internal.h>
#include <apprentice/quant/prepare.h>
#include <apprentice/quant/unpack_internal.h>
#include <apprentice/quant/verify_internal.h>

namespace apprentice::quant {
namespace {

/// A model that turns, and back, into what `eval` makes of the packed file: its tensors decoded,
/// its batch norms unfolded, no quantizers.
class DecodedModel {
 public:
  DecodedModel(nn::TensorModule& model, const std::string& path) : model_(model) {
    for (const auto& [name, tensor] : model.state_dict()) own_.emplace(name, tensor.clone());
    decoded_ = own_;  // what the quantizers learned stays as it is, unused
    const State file = unpack_weights(path);
    for (const auto& [name, tensor] : file.tensors) decoded_.at(name) = tensor;
    for (const Layer& layer : layers(model)) {
      if (auto own = layer.module->parametrization("weight"))
        quantizers_.emplace_back(layer.module, std::move(own));
    }
  }
  ~DecodedModel() { use_own(); }
  DecodedModel(const DecodedModel&) = delete;
  DecodedModel& operator=(const DecodedModel&) = delete;

  Tensor forward(const Tensor& x, const kernels::Preference& preference) {
    for (const auto& [module, own] : quantizers_) module->parametrize("weight", nullptr);
    model_.load_state_dict(decoded_);
    const kernels::Preference before = std::exchange(kernels::default_preference(), preference);
    const Tensor logits = model_.forward(x);
    kernels::default_preference() = before;
    use_own();
    return logits;
  }

 private:
  void use_own() {
    model_.load_state_dict(own_);
    for (const auto& [module, own] : quantizers_) module->parametrize("weight", own);
  }

  nn::TensorModule& model_;
  nn::StateDict own_, decoded_;
  std::vector<std::pair<nn::Module*, std::shared_ptr<const nn::Parametrization>>> quantizers_;
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
  for (const auto& [name, tensor] : own) {
    check<ConfigError>(file.rest.tensors.count(name) != 0,
                       "verify: tensor '{}' is in the model only", name);
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
  DecodedModel decoded(model, path);
  while (const Tensor batch = batches()) {
    const Tensor expected = model.forward(batch);
    const Tensor got = decoded.forward(batch, {options.kernel, options.require_kernel});
    compare_logits(got, expected, options.logit_tolerance, "logits", report);
  }
  return report;
}

}  // namespace apprentice::quant
