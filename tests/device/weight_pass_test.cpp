#include <catch2/catch.hpp>

#include <apprentice/quant/quantizer.h>
#include <device/emulated.h>

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
  const Device device = emulated_device();
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
