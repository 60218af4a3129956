#pragma once

#include <memory>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/nn/conv_bn2d.h>

namespace apprentice::test {

using nn::Scaled;

/// A uniform grid without rounding in train mode, so that its gradient is exact there.
struct Grid : nn::ActivationTransform {
  Grid(float step, int64_t max, int64_t zero = 0)
      : step_(Tensor::full({1}, step)), max_(max), zero_(zero) {}
  Scaled apply(const Tensor& real) override {
    return {clamp(real / step_.item() + double(zero_), 0, double(max_)), step_, max_, zero_};
  }
  Tensor step() const override { return step_; }
  int64_t max_code() const override { return max_; }
  int64_t zero_point() const override { return zero_; }
  Tensor step_;
  int64_t max_, zero_;
};

/// Weight codes that do not depend on the parameter.
struct Codes : nn::Parametrization {
  explicit Codes(nn::EffectiveWeight weight) : weight_(std::move(weight)) {}
  nn::EffectiveWeight apply(const Tensor&, bool) const override { return weight_; }
  nn::EffectiveWeight weight_;
};

inline Tensor random_codes(const Shape& shape, int64_t low, int64_t high, Rng& rng) {
  Tensor codes = Tensor::empty(shape);
  float* at = codes.data<float>();
  for (int64_t i = 0; i < codes.numel(); ++i)
    at[i] = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return codes;
}

/// `in` -> 5 channels, 3x3, stride 2, with batch norm that is not the identity.
inline std::shared_ptr<nn::ConvBn2d> make_layer(Rng& rng, bool relu = true, int64_t in = 3) {
  nn::ConvBn2d::Options options;
  options.conv = {.in = in, .out = 5, .stride = {2, 2}, .padding = {1, 1}};
  options.relu = relu;
  auto layer = std::make_shared<nn::ConvBn2d>(options, rng);
  layer->bn().parameter("weight").copy_from(Tensor::uniform({5}, -1, 2, rng));
  layer->bn().parameter("bias").copy_from(Tensor::normal({5}, 0, 1, rng));
  layer->bn().buffer("running_mean").copy_from(Tensor::normal({5}, 0, 1, rng));
  layer->bn().buffer("running_var").copy_from(Tensor::uniform({5}, 0.5f, 2, rng));
  return layer;
}

inline Scaled real_part(const Scaled& x) {
  return x.data.defined() ? Scaled{nn::real(x), {}, 0} : Scaled{};
}

}  // namespace apprentice::test
