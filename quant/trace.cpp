#include <apprentice/core/autograd.h>
#include <apprentice/quant/trace_internal.h>

namespace apprentice::quant {
namespace {

/// Takes the observers off, also when a forward throws.
struct Observers {
  std::vector<Layer> layers;
  ~Observers() {
    for (const Layer& layer : layers) layer.fused->set_observer({});
  }
};

}  // namespace

TracedForward traced_forward(nn::TensorModule& model, const Tensor& x) {
  NoGrad no_grad;
  const EvalMode eval_mode(model);
  TracedForward result;
  Observers observers;
  for (const Layer& layer : layers(model)) {
    if (!layer.fused) continue;
    observers.layers.push_back(layer);
    layer.fused->set_observer([&result, layer](const nn::Observation& seen) {
      result.layers.push_back({layer, seen});
    });
  }
  result.logits = model.forward(x);
  return result;
}

}  // namespace apprentice::quant
