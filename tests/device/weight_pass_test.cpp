#include <catch2/catch.hpp>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/graph.h>
#include <apprentice/nn/conv2d.h>
#include <apprentice/nn/optimizer.h>
#include <apprentice/quant/quantizer.h>
#include <device/test_device.h>

using namespace apprentice;

namespace {

/// Weights [8, 3, 3, 5] for every registered quantizer with its first option of bits.
std::vector<quant::QuantizedLayer> layers_on(Device device) {
  std::vector<quant::QuantizedLayer> layers;
  Rng rng(5);
  for (const std::string& name : quant::quantizers().names()) {
    const auto method = quant::quantizers().get(name);
    const Tensor w = Tensor::uniform({8, 3, 3, 5}, -1, 1, rng);
    layers.push_back({method.make({method.bits.back(), method.per_channel}), w.to(device)});
  }
  return layers;
}

}  // namespace

TEST_CASE("one pass on a device gives the codes, scales and zeros of the CPU, bit for bit") {
  const Device device = test_device();
  const auto here = layers_on({}), there = layers_on(device);
  for (int pass = 0; pass < 2; ++pass) {
    quant::quantize_all(here);
    quant::quantize_all(there);
  }
  CHECK(quant::zero_parts(there) == quant::zero_parts(here));
  for (size_t i = 0; i < here.size(); ++i) {
    CAPTURE(here[i].quantizer->name());
    const auto expected = here[i].quantizer->quantized(here[i].weight);
    const auto got = there[i].quantizer->quantized(there[i].weight);
    CHECK(got.codes.device() == device);
    CHECK(got.codes.to_vector<float>() == expected.codes.to_vector<float>());
    CHECK(got.scale.to_vector<float>() == expected.scale.to_vector<float>());
    CHECK(there[i].quantizer->take_flips() == 0);
  }
}

TEST_CASE("a recorded pass quantizes the weights of each launch and counts its flips") {
  const Device device = test_device();
  auto layers = layers_on(device);
  quant::quantize_all(layers);
  const Graph graph(device, [&] { quant::quantize_all(layers); });
  std::vector<Tensor> codes;
  for (auto& [quantizer, w] : layers) codes.push_back(quantizer->quantized(w).codes);
  for (int launch = 0; launch < 2; ++launch) {
    for (auto& [quantizer, w] : layers) {
      auto values = w.to_vector<float>();
      for (float& v : values) v = -v;
      w.copy_from(Tensor::from(values, w.shape()));
    }
    graph.launch(current_stream(device));
    for (size_t i = 0; i < layers.size(); ++i) {
      CAPTURE(launch, layers[i].quantizer->name());
      const auto expected = layers[i].quantizer->quantize(layers[i].weight);
      CHECK(codes[i].to_vector<float>() == expected.codes.to_vector<float>());
    }
  }
  // Both launches turned every code that is not 0 round.
  const std::vector<double> zeros = quant::zero_parts(layers);
  for (size_t i = 0; i < layers.size(); ++i)
    CHECK(layers[i].quantizer->take_flips() == Approx(1 - zeros[i]));
}

TEST_CASE("a step on a device moves and quantizes weights as the CPU does, bit for bit") {
  auto here = layers_on({}), there = layers_on(test_device());
  const auto step = [](std::vector<quant::QuantizedLayer>& layers) {
    nn::NamedTensors parameters;
    for (auto& [quantizer, w] : layers) {
      Rng rng(parameters.size(), RngPurpose::test);
      w = w.clone().set_requires_grad();
      w.set_grad(Tensor::uniform(w.shape(), -1, 1, rng).to(w.device()));
      parameters.emplace_back(std::to_string(parameters.size()), w);
    }
    nn::Sgd sgd({{.parameters = parameters, .weight_decay = 0.01}}, {.momentum = 0.9});
    for (const double lr : {0.5, 0.25}) {
      sgd.prepare_step(lr);
      quant::apply_step(sgd, layers);
    }
  };
  step(here), step(there);
  for (size_t i = 0; i < here.size(); ++i) {
    CAPTURE(here[i].quantizer->name());
    CHECK(there[i].weight.to_vector<float>() == here[i].weight.to_vector<float>());
    const auto expected = here[i].quantizer->quantized(here[i].weight.detach());
    const auto got = there[i].quantizer->quantized(there[i].weight.detach());
    CHECK(got.codes.to_vector<float>() == expected.codes.to_vector<float>());
    CHECK(got.scale.to_vector<float>() == expected.scale.to_vector<float>());
    CHECK(there[i].quantizer->take_flips() == here[i].quantizer->take_flips());
  }
}

TEST_CASE("a layer that leaves a device gives back what its quantizer keeps there") {
  const Device device = test_device();
  Rng rng(1, RngPurpose::test);
  nn::Conv2d layer({.in = 3, .out = 40, .kernel_size = {3, 3}}, rng);
  const std::shared_ptr<quant::WeightQuantizer> quantizer = quant::quantizers().get("twn").make({});
  layer.parametrize("weight", quantizer);
  const size_t before = device_allocator(device).use().live;
  layer.to(device);
  quant::quantize_all({{quantizer, layer.parameter("weight")}});
  CHECK(device_allocator(device).use().live > before);
  layer.to(Device{});
  CHECK(device_allocator(device).use().live == before);
  CHECK(quantizer->take_flips() == -1);
}

namespace {

/// A quantizer as a user may write it: by host code.
class OnHost final : public quant::WeightQuantizer {
 public:
  std::string_view name() const override { return "on_host"; }
  int bits() const override { return 2; }
  std::string grid() const override { return "{-1, 1}"; }
  quant::QuantizedWeight quantize(const Tensor& w) const override {
    Tensor codes = w.new_empty(w.shape());
    const float* from = w.data<float>();
    for (int64_t i = 0; i < w.numel(); ++i) codes.data<float>()[i] = from[i] < 0 ? -1.0f : 1.0f;
    return {codes, Tensor::full({1}, 1), {}, 1};
  }
  Tensor error_bound(const Tensor& w) const override { return w; }
};

/// One that reads wherever the weight lies, and gives codes of the CPU.
class ToHost final : public quant::WeightQuantizer {
 public:
  std::string_view name() const override { return "to_host"; }
  int bits() const override { return 2; }
  std::string grid() const override { return "{1}"; }
  quant::QuantizedWeight quantize(const Tensor& w) const override {
    return {Tensor::full(w.shape(), 1), Tensor::full({1}, 1), {}, 1};
  }
  Tensor error_bound(const Tensor& w) const override { return w; }
};

}  // namespace

TEST_CASE("a quantizer whose codes lie elsewhere than the weight is named") {
  const Tensor w = Tensor::full({2, 2}, -1).to(test_device());
  CHECK_THROWS_WITH(std::make_shared<ToHost>()->apply(w, true),
                    Catch::Contains("weight quantizer to_host: quantize() does not work on " +
                                    test_device().str() + " (what it gives lies on cpu)"));
}

TEST_CASE("a quantizer of host code is named where a device asks for it") {
  const auto quantizer = std::make_shared<OnHost>();
  const Tensor w = Tensor::full({2, 2}, -1);
  CHECK(quantizer->quantized(w).codes.to_vector<float>() == std::vector<float>(4, -1));
  CHECK_THROWS_WITH(quantizer->apply(w.to(test_device()), true),
                    Catch::Contains("weight quantizer on_host: quantize() does not work on " +
                                    test_device().str()) &&
                        Catch::Contains("give it a rule(), or compute by operations on tensors"));
}
