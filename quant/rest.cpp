#include <cmath>

#include <apprentice/quant/packed_weight_internal.h>

namespace apprentice::quant {
namespace {

constexpr const char* kWeight = ".weight";

void fold(nn::StateDict& state, const std::string& name, float eps) {
  const auto gamma = state.at(name + kWeight).to_vector<double>();
  const auto beta = state.at(name + ".bias").to_vector<double>();
  const auto mean = state.at(name + ".running_mean").to_vector<double>();
  const auto var = state.at(name + ".running_var").to_vector<double>();
  std::vector<float> weight(gamma.size()), bias(gamma.size());
  for (size_t c = 0; c < gamma.size(); ++c) {
    const double a = gamma[c] / std::sqrt(var[c] + double(eps));
    weight[c] = float(a);
    bias[c] = float(beta[c] - mean[c] * a);
  }
  const Shape channels{int64_t(gamma.size())};
  state[name + kWeight] = Tensor::from(weight, channels);
  state[name + ".bias"] = Tensor::from(bias, channels);
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
    if (const auto* bn = dynamic_cast<const nn::BatchNorm2d*>(module))
      fold(state, name, bn->options().eps);
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
