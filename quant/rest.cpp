#include <apprentice/quant/packed_weight_internal.h>

namespace apprentice::quant {
namespace {

constexpr const char* kWeight = ".weight";

Tensor as_f32(const std::vector<double>& values) {
  return Tensor::from(std::vector<float>(values.begin(), values.end()), {int64_t(values.size())});
}

void fold(nn::StateDict& state, const std::string& name, const nn::BatchNorm2d& bn) {
  const nn::BatchNorm2d::Affine affine = bn.affine();
  state[name + kWeight] = as_f32(affine.a);
  state[name + ".bias"] = as_f32(affine.b);
  state.erase(name + ".running_mean");
  state.erase(name + ".running_var");
}

}  // namespace

nn::StateDict rest_of(nn::Module& model) {
  nn::StateDict state = model.state_dict();
  for (const Layer& layer : layers(model)) {
    const auto quantizer = layer.weights();
    if (!quantizer) continue;
    for (const char* suffix : {kWeight, ".weight_gain"}) state.erase(layer.name + suffix);
    for (const std::string& learned : quantizer->learned()) state.erase(layer.name + "." + learned);
  }
  for (const auto& [name, module] : model.named_modules())
    if (const auto* bn = dynamic_cast<const nn::BatchNorm2d*>(module)) fold(state, name, *bn);
  return state;
}

void unfold_batch_norms(nn::StateDict& state) {
  const nn::StateDict given = state;
  for (const auto& [name, tensor] : given) {
    const size_t dot = name.rfind('.');
    if (dot == std::string::npos || name.substr(dot) != kWeight || tensor.rank() != 1) continue;
    const std::string layer = name.substr(0, dot);
    if (!given.count(layer + ".bias") || given.count(layer + ".running_mean")) continue;
    state[layer + ".running_mean"] = Tensor::zeros(tensor.shape());
    state[layer + ".running_var"] =
        Tensor::full(tensor.shape(), 1 - double(nn::BatchNorm2d::Options().eps));
  }
}

}  // namespace apprentice::quant
