#include <apprentice/quant/quantizer.h>

#include <utility>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>

namespace apprentice {
void load_quant_units();
}

namespace apprentice::quant {
namespace {

/// `step` [1] or [out] in a shape that broadcasts along the first axis of [out, ...].
Tensor along_rows(const Tensor& step, int rank) {
  Shape shape;
  shape.push_back(step.numel());
  while (shape.rank() < rank) shape.push_back(1);
  return step.reshape(shape);
}

}  // namespace

Tensor dequantize(const QuantizedWeight& weight) {
  NoGrad no_grad;
  return nn::real({weight.codes, weight.scale, weight.scale_negative, weight.max_code});
}

void WeightQuantizer::attach(nn::Module&) {}
float WeightQuantizer::gain(const Tensor&) const { return 1; }
void WeightQuantizer::initialise(const Tensor&) {}
void WeightQuantizer::after_step(Tensor) const {}

nn::EffectiveWeight WeightQuantizer::apply(const Tensor& parameter, bool) const {
  const Tensor w = parameter.detach();
  const QuantizedWeight q = quantized(w);
  const auto self = shared_from_this();
  const Tensor codes =
      record("quantize_weight", q.codes, {parameter},
             [self, w = Saved(w), codes = Saved(q.codes), scale = Saved(q.scale),
              negative = Saved(q.scale_negative), max_code = q.max_code](const Tensor& g) {
               return std::vector<Tensor>{self->weight_gradient(
                   g, w.get(), {codes.get(), scale.get(), negative.get(), max_code})};
             });
  return {codes, q.scale, q.scale_negative, q.max_code};
}

Tensor WeightQuantizer::weight_gradient(const Tensor& grad_codes, const Tensor&,
                                        const QuantizedWeight& q) const {
  return grad_codes / along_rows(q.scale, grad_codes.rank());
}

Registry<WeightMethod>& quantizers() {
  static Registry<WeightMethod> registry("weight quantizer");
  load_quant_units();
  return registry;
}

}  // namespace apprentice::quant
