#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include <apprentice/models/registry.h>
#include <apprentice/quant/policy.h>
#include <apprentice/quant/prepare.h>
#include <apprentice/quant/quantizer.h>

namespace apprentice::test {

/// One way to make a registered weight quantizer.
struct QuantizerCase {
  std::string name;
  quant::WeightMethod method;
  quant::WeightOptions options;
  std::shared_ptr<quant::WeightQuantizer> quantizer;
};

/// Every registered weight quantizer with every option it takes.
inline std::vector<QuantizerCase> all_weight_quantizers() {
  std::vector<QuantizerCase> all;
  for (const std::string& name : quant::quantizers().names()) {
    const quant::WeightMethod method = quant::quantizers().get(name);
    for (int bits : method.bits)
      for (bool per_channel : method.per_channel ? std::vector{false, true} : std::vector{false}) {
        const quant::WeightOptions options{bits, per_channel};
        all.push_back({name, method, options, method.make(options)});
      }
  }
  return all;
}

/// A convolution weight [out, kh, kw, in] whose rows have different spreads.
inline Tensor random_weight(const Shape& shape, uint64_t seed) {
  Rng rng(seed, RngPurpose::test);
  Tensor w = Tensor::normal(shape, 0, 0.3f, rng);
  float* at = w.data<float>();
  const int64_t row = w.numel() / shape[0];
  for (int64_t i = 0; i < w.numel(); ++i) at[i] *= 0.2f + float(i / row);
  return w;
}

inline Tensor random_images(int64_t count, uint64_t seed, int64_t size = 32) {
  Rng rng(seed, RngPurpose::test);
  return Tensor::normal({count, size, size, 3}, 0, 1, rng);
}

/// A network as training might leave it: batch norms that are not the identity.
inline std::shared_ptr<nn::TensorModule> random_network(const std::string& arch, uint64_t seed,
                                                        double width = 1) {
  auto model = make_model(arch, {.classes = 10, .width = width, .seed = seed});
  Rng rng(seed, RngPurpose::test);
  for (const auto& [name, module] : model->named_modules()) {
    auto* fused = dynamic_cast<nn::ConvBn2d*>(module);
    if (!fused) continue;
    const Shape channels{fused->options().conv.out};
    fused->bn().parameter("weight").copy_from(Tensor::uniform(channels, 0.5f, 1.5f, rng));
    fused->bn().parameter("bias").copy_from(Tensor::normal(channels, 0, 0.3f, rng));
    fused->bn().buffer("running_mean").copy_from(Tensor::normal(channels, 0, 0.3f, rng));
    fused->bn().buffer("running_var").copy_from(Tensor::uniform(channels, 0.5f, 2, rng));
  }
  model->eval();
  return model;
}

inline quant::Policy make_policy(const std::string& weights, int w_bits,
                                 const std::string& activations = "none", int a_bits = 8) {
  quant::Policy policy;
  policy.layer = {weights, w_bits, false, activations, a_bits};
  return policy;
}

/// random_network() with quantizers, ranges calibrated on a few random images.
inline std::shared_ptr<nn::TensorModule> quantized_network(const std::string& arch,
                                                           const quant::Policy& policy,
                                                           uint64_t seed = 1, double width = 1) {
  auto model = random_network(arch, seed, width);
  quant::prepare(*model, policy);
  quant::calibrate(*model, {random_images(4, 77, 16)});
  return model;
}

/// Are all bits equal?
inline bool same_bits(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && a.to_vector<float>() == b.to_vector<float>();
}

inline double max_difference(const Tensor& a, const Tensor& b) {
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  REQUIRE(x.size() == y.size());
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

}  // namespace apprentice::test
