#include <catch2/catch.hpp>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/state.h>
#include <apprentice/nn/conv2d.h>
#include <quant/quant_problems.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

/// A convolution 8 -> 16 with TTQ on the golden weight.
struct TtqLayer {
  TtqLayer()
      : state(load_state(APPRENTICE_TEST_GOLDEN "/ops.safetensors")), rng(1), conv({8, 16}, rng) {
    conv.parameter("weight").copy_from(at("w"));
    quantizer->attach(conv);
    conv.parametrize("weight", quantizer);
    set("weight_scale", at("wp").item());
    set("weight_scale_neg", at("wn").item());
  }
  Tensor at(const std::string& name) const { return state.tensors.at("ttq." + name); }
  void set(const std::string& name, double value) { conv.parameter(name).fill(value); }
  double loss() {
    NoGrad no_grad;
    return sum(conv.effective("weight").data * at("gwq")).item();
  }

  State state;
  Rng rng;
  nn::Conv2d conv;
  std::shared_ptr<quant::WeightQuantizer> quantizer =
      quant::quantizers().get("ttq").make({2, false});
};

}  // namespace

TEST_CASE("ttq gives the golden codes and weights") {
  TtqLayer layer;
  layer.conv.eval();
  CHECK(same_bits(layer.conv.effective("weight").data, layer.at("codes").to(Dtype::f32)));
  CHECK(same_bits(nn::real(layer.conv.effective("weight")), layer.at("wq")));
  layer.conv.train();
  CHECK_FALSE(layer.conv.effective("weight").step.defined());
  CHECK(same_bits(layer.conv.effective("weight").data, layer.at("wq")));
}

TEST_CASE("ttq gives the golden gradients, the minus of the negative step included") {
  TtqLayer layer;
  layer.conv.effective("weight").data.backward(layer.at("gwq"));
  // Sums of 1,152 values in double, rounded once; products rounded once.
  const double gwp = layer.conv.parameter("weight_scale").grad().item();
  const double gwn = layer.conv.parameter("weight_scale_neg").grad().item();
  CHECK(gwp == Approx(layer.at("gwp").item()).epsilon(0x1p-22));
  CHECK(gwn == Approx(layer.at("gwn").item()).epsilon(0x1p-22));
  const Tensor gw = layer.conv.parameter("weight").grad();
  CHECK(max_difference(gw, layer.at("gw")) <= 0x1p-22 * 4);
}

TEST_CASE("ttq: gradients of both steps are what finite differences give") {
  TtqLayer layer;
  layer.conv.effective("weight").data.backward(layer.at("gwq"));
  for (const char* name : {"weight_scale", "weight_scale_neg"}) {
    CAPTURE(name);
    const double at = layer.conv.parameter(name).item();
    // The loss is linear in a step, so a large h costs nothing and rounding counts little.
    layer.set(name, at + 1);
    const double up = layer.loss();
    layer.set(name, at - 1);
    const double down = layer.loss();
    layer.set(name, at);
    CHECK(layer.conv.parameter(name).grad().item() == Approx((up - down) / 2).epsilon(1e-5));
  }
}

TEST_CASE("ttq: a weight in the zero band gets the gradient unscaled, the threshold gets none") {
  TtqLayer layer;
  const Tensor w = Tensor::from<float>({1.0f, 0.049f, -0.051f, 0.0f}, {1, 4});
  Tensor master = w.clone();
  master.set_requires_grad();
  layer.quantizer->apply(master, true).data.backward(Tensor::full({1, 4}, 2));
  const auto grad = master.grad().to_vector<float>();
  const float wp = float(layer.at("wp").item()), wn = float(layer.at("wn").item());
  CHECK(grad == std::vector<float>{2 * wp, 2, 2 * wn, 2});
}

TEST_CASE("ttq starts its steps from the mean of each side beyond the threshold") {
  TtqLayer layer;
  layer.quantizer->initialise(Tensor::from<float>({1.0f, 0.5f, 0.04f, -0.25f, -0.04f}, {1, 5}));
  CHECK(layer.conv.parameter("weight_scale").item() == 0.75);
  CHECK(layer.conv.parameter("weight_scale_neg").item() == 0.25);
  layer.quantizer->initialise(Tensor::from<float>({1.0f, 0.5f}, {1, 2}));
  CHECK(layer.conv.parameter("weight_scale_neg").item() == 1);
}
