#include <utility>

#include <apprentice/core/autograd.h>
#include <apprentice/nn/eval_mode.h>
#include <apprentice/nn/pool.h>
#include <apprentice/quant/trace_internal.h>

namespace apprentice::quant {
namespace {

/// Takes the observers off, also when a forward throws.
struct Observers {
  std::vector<Layer> layers;
  void set(const Layer& layer, nn::Observer observer) {
    if (layer.fused) return layer.fused->set_observer(std::move(observer));
    dynamic_cast<nn::MaxPool2d&>(*layer.module).set_observer(std::move(observer));
  }
  ~Observers() {
    for (const Layer& layer : layers) set(layer, {});
  }
};

std::vector<Layer> traceable(nn::Module& model) {
  std::vector<Layer> all;
  for (const Layer& layer : layers(model))
    if (layer.fused) all.push_back(layer);
  for (const auto& [name, module] : model.named_modules())
    if (dynamic_cast<nn::MaxPool2d*>(module)) all.push_back({name, module, nullptr});
  return all;
}

}  // namespace

TracedForward traced_forward(nn::TensorModule& model, const Tensor& x) {
  NoGrad no_grad;
  const nn::EvalMode eval_mode(model);
  TracedForward result;
  Observers observers{traceable(model)};
  for (const Layer& layer : observers.layers)
    observers.set(layer, [&result, layer](const nn::Observation& seen) {
      result.layers.push_back({layer, seen});
    });
  result.logits = model.forward(x);
  return result;
}

}  // namespace apprentice::quant
