#include <catch2/catch.hpp>

#include <algorithm>
#include <span>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/nn/optimizer.h>
#include <quant/quant_problems.h>

using namespace apprentice;
using namespace apprentice::test;
using quant::QuantizedLayer;
using quant::QuantizedWeight;

namespace {

/// A weight for every quantizer with every option.
std::vector<QuantizedLayer> all_layers() {
  std::vector<QuantizedLayer> layers;
  for (const QuantizerCase& each : all_weight_quantizers())
    layers.push_back({each.quantizer, random_weight({8, 3, 3, 5}, layers.size() + 1)});
  return layers;
}

bool equal(const QuantizedWeight& a, const QuantizedWeight& b) {
  return same_bits(a.codes, b.codes) && same_bits(a.scale, b.scale) && a.max_code == b.max_code &&
         bool(a.scale_negative) == bool(b.scale_negative);
}

}  // namespace

TEST_CASE("one pass over all layers gives what each quantizer gives by itself") {
  const std::vector<QuantizedLayer> layers = all_layers();
  for (const QuantizedLayer& layer : layers) CHECK(layer.quantizer->take_flips() == -1);
  quant::quantize_all(layers);
  const std::vector<double> zeros = quant::zero_parts(layers);
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& [quantizer, w] = layers[i];
    CAPTURE(quantizer->name(), i);
    const QuantizedWeight made = quantizer->quantized(w), own = quantizer->quantize(w);
    CHECK(equal(made, own));
    CHECK(made.codes.bytes() == quantizer->quantized(w).codes.bytes());
    const auto codes = own.codes.to_vector<float>();
    CHECK(zeros[i] == double(std::count(codes.begin(), codes.end(), 0.0f)) / 360);
  }
}

TEST_CASE("what a pass has made counts no longer once the weight is written to") {
  for (const QuantizedLayer& layer : all_layers()) {
    CAPTURE(layer.quantizer->name());
    quant::quantize_all({layer});
    Tensor w = layer.weight;
    const Tensor other = w.clone();
    w.copy_from(w * -1);
    CHECK(equal(layer.quantizer->quantized(w), layer.quantizer->quantize(w)));
    CHECK(equal(layer.quantizer->quantized(other), layer.quantizer->quantize(other)));
    CHECK_FALSE(
        same_bits(layer.quantizer->quantized(w).codes, layer.quantizer->quantized(other).codes));
  }
}

TEST_CASE("flips are the codes of another sign than in the pass before, as a mean over passes") {
  for (const QuantizedLayer& layer : all_layers()) {
    CAPTURE(layer.quantizer->name());
    quant::quantize_all({layer});
    CHECK(layer.quantizer->take_flips() == -1);
    const double zeros = quant::zero_parts({layer})[0];
    Tensor w = layer.weight;
    w.copy_from(w * -1);
    quant::quantize_all({layer});
    quant::quantize_all({layer});
    CHECK(layer.quantizer->take_flips() == Approx((1 - zeros) / 2));
    CHECK(layer.quantizer->take_flips() == -1);
  }
}

TEST_CASE("a network's step quantizes its weights, as its parts one after the other do") {
  const auto policy = make_policy(GENERATE("twn", "ttq", "wrpn"), 2);
  const auto with = quantized_network("resnet8", policy),
             without = quantized_network("resnet8", policy);
  const auto sgd = [](nn::TensorModule& model) {
    return nn::Sgd({{.parameters = model.named_parameters(), .weight_decay = 0.01}},
                   {.momentum = 0.9});
  };
  nn::Sgd fused = sgd(*with), plain = sgd(*without);
  const auto backward = [](nn::TensorModule& model, nn::Sgd& optimizer) {
    model.train();
    optimizer.zero_grad();
    sum(model.forward(random_images(2, 5, 8))).backward();
    optimizer.prepare_step(0.3);
  };
  for (int i = 0; i < 2; ++i) {
    backward(*with, fused);
    quant::apply_step(fused, *with);
    backward(*without, plain);
    plain.apply_step();
    for (const quant::Layer& layer : quant::layers(*without))
      if (const auto quantizer = layer.weights()) {
        const float bound = quantizer->rule()->bound;
        for (float& v : std::span(layer.module->parameter("weight").data<float>(),
                                  size_t(layer.module->parameter("weight").numel())))
          v = std::clamp(v, -bound, bound);
      }
  }
  const nn::StateDict expected = without->state_dict();
  for (const auto& [name, tensor] : with->state_dict()) {
    CAPTURE(name);
    CHECK(same_bits(tensor, expected.at(name)));
  }
  const auto layers = quant::layers(*without);
  for (size_t i = 0; i < layers.size(); ++i)
    if (const auto quantizer = layers[i].weights()) {
      CAPTURE(layers[i].name);
      const quant::Layer own = quant::layers(*with)[i];
      CHECK(equal(own.weights()->quantized(own.module->parameter("weight")),
                  quantizer->quantize(layers[i].module->parameter("weight").detach())));
    }
  for (const quant::LayerHealth& layer : quant::health(*with))
    if (layer.zeros >= 0) CHECK((layer.flips >= 0 && layer.flips < 1));
}

TEST_CASE("weights that a step does not move are quantized beside it") {
  const auto layers = all_layers();
  Tensor moved = layers[0].weight;
  moved.set_requires_grad();
  moved.set_grad(Tensor::full(moved.shape(), 1));
  nn::Sgd sgd({{.parameters = {{"w", moved}}}}, {});
  sgd.prepare_step(0.125);
  quant::apply_step(sgd, layers);
  for (const auto& [quantizer, w] : layers) {
    CAPTURE(quantizer->name());
    const QuantizedWeight made = quantizer->quantized(w.detach());
    CHECK(equal(made, quantizer->quantize(w.detach())));
    CHECK(made.codes.bytes() == quantizer->quantized(w.detach()).codes.bytes());
  }
}
