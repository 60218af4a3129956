#include <catch2/catch.hpp>

#include <apprentice/base/graph.h>
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
