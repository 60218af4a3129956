#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <quant/quant_problems.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

Tensor logits_of(nn::TensorModule& model, const Tensor& x) {
  NoGrad no_grad;
  model.eval();
  return model.forward(x);
}

void without_quantizers(nn::Module& model) {
  for (const quant::Layer& layer : quant::layers(model)) {
    layer.module->parametrize("weight", nullptr);
    if (layer.fused) layer.fused->set_activation(nullptr);
  }
}

}  // namespace

TEST_CASE("prepare: the rescale of wrpn weights leaves f32 logits as they were") {
  const Tensor x = random_images(8, 5);
  auto model = random_network("resnet20", 3);
  const Tensor before = logits_of(*model, x);
  quant::prepare(*model, make_policy("wrpn", 4));
  for (const quant::Layer& layer : quant::layers(*model)) {
    if (!layer.weights()) continue;
    CAPTURE(layer.name);
    // max|w| * (1 / max|w|): two roundings.
    CHECK(max(abs(layer.module->parameter("weight").detach())).item() ==
          Approx(1).epsilon(0x1p-22));
    CHECK(layer.module->buffer("weight_gain").item() > 1);
  }
  without_quantizers(*model);
  CHECK(max_difference(logits_of(*model, x), before) <= 1e-4);
}

TEST_CASE("prepare: the rescale of ttq weights starts both steps near 1 and leaves f32 logits") {
  const Tensor x = random_images(8, 5);
  auto model = random_network("resnet20", 3);
  const Tensor before = logits_of(*model, x);
  quant::prepare(*model, make_policy("ttq", 2));
  for (const quant::Layer& layer : quant::layers(*model)) {
    if (!layer.weights()) continue;
    CAPTURE(layer.name);
    const double positive = layer.module->parameter("weight_scale").item();
    const double negative = layer.module->parameter("weight_scale_neg").item();
    CHECK(std::min(positive, negative) <= 1 + 1e-6);
    CHECK(std::max(positive, negative) >= 1 - 1e-6);
    CHECK(std::abs(positive - negative) < 0.2);
  }
  without_quantizers(*model);
  CHECK(max_difference(logits_of(*model, x), before) <= 1e-4);
}

TEST_CASE("prepare: rescaled weights learn at c^2 times the rate, learned steps do not decay") {
  auto model = random_network("resnet8", 3);
  quant::prepare(*model, make_policy("wrpn", 4));
  const auto rules = quant::parameter_rules(*model);
  CHECK(rules.size() == 6);
  const auto conv = quant::layers(*model)[1];
  const double c = conv.module->buffer("weight_gain").item();
  CHECK(rules.at("layer1.0.conv1.weight").lr_scale == Approx(c * c));
  CHECK(rules.at("layer1.0.conv1.weight").weight_decay_scale == Approx(1 / (c * c)));

  auto ttq = random_network("resnet8", 3);
  quant::prepare(*ttq, make_policy("ttq", 2));
  const auto ttq_rules = quant::parameter_rules(*ttq);
  CHECK(ttq_rules.size() == 18);
  CHECK(ttq_rules.at("layer1.0.conv1.weight_scale_neg").weight_decay_scale == 0);
  CHECK(ttq_rules.at("layer1.0.conv1.weight_scale_neg").lr_scale == 1);
}

TEST_CASE("prepare: a plain step on rescaled weights is the step without the rescale") {
  // w' = c v. With g_w' = g_v / c: w' - lr c^2 (g_w' + wd/c^2 w') = c (v - lr (g_v + wd v)).
  auto model = random_network("resnet8", 3);
  const auto v = quant::layers(*model)[1].module->parameter("weight").to_vector<double>();
  quant::prepare(*model, make_policy("wrpn", 4));
  const auto rule = quant::parameter_rules(*model).at("layer1.0.conv1.weight");
  const quant::Layer layer = quant::layers(*model)[1];
  const auto w = layer.module->parameter("weight").to_vector<double>();
  const double c = layer.module->buffer("weight_gain").item();
  const double lr = 0.02, decay = 1e-4, gradient = 0.3;
  for (size_t i = 0; i < 50; ++i) {
    const double moved =
        w[i] - lr * rule.lr_scale * (gradient / c + decay * rule.weight_decay_scale * w[i]);
    REQUIRE(moved == Approx(c * (v[i] - lr * (gradient + decay * v[i]))).epsilon(1e-6));
  }
}

TEST_CASE("prepare: kept layers have no weight quantizer, and every fused layer codes its output") {
  auto model = quantized_network("resnet8", make_policy("twn", 2, "wrpn", 8));
  int quantized = 0;
  for (const quant::Layer& layer : quant::layers(*model)) {
    const bool kept = layer.name == "conv1" || layer.name == "linear";
    CHECK(bool(layer.weights()) == !kept);
    CHECK(bool(layer.activations()) == (layer.name != "linear"));
    quantized += !kept;
  }
  CHECK(quantized == 6);
  CHECK(model->state_dict().count("layer2.0.conv2.act_scale") == 1);
}

TEST_CASE("prepare: a model that is quantized already is an error") {
  auto model = quantized_network("resnet8", make_policy("twn", 2));
  CHECK(throws<ConfigError>([&] { quant::prepare(*model, make_policy("twn", 2)); },
                            "layer1.0.conv1", "quantized already") == "");
}

TEST_CASE("attach, then the state of a prepared model, gives the prepared model") {
  for (const auto& policy : {make_policy("ttq", 2, "wrpn", 8), make_policy("wrpn", 4, "wrpn", 4)}) {
    auto model = quantized_network("resnet8", policy);
    auto other = make_model("resnet8", {.seed = 9});
    quant::attach(*other, policy);
    other->load_state_dict(model->state_dict());
    const Tensor x = random_images(3, 8);
    CHECK(same_bits(logits_of(*other, x), logits_of(*model, x)));
  }
}

TEST_CASE("calibrate: steps are the 99.9th percentile of the f32 network's own outputs") {
  const Tensor x = random_images(6, 11);
  auto plain = random_network("resnet8", 1);
  std::vector<float> seen;
  const quant::Layer watched = quant::layers(*plain)[2];
  watched.fused->set_observer(
      [&](const nn::Observation& observed) { seen = observed.y.data.to_vector<float>(); });
  logits_of(*plain, x);
  std::sort(seen.begin(), seen.end());
  const double position = 0.999 * double(seen.size() - 1);
  const auto low = size_t(position);
  const double r = seen[low] + (position - double(low)) * (seen[low + 1] - seen[low]);

  auto model = random_network("resnet8", 1);
  quant::prepare(*model, make_policy("twn", 2, "wrpn", 8));
  model->train();
  quant::calibrate(*model, {x.slice(0, 4), x.slice(4, 6)});
  CHECK(model->training());
  const quant::Layer layer = quant::layers(*model)[2];
  // Convolutions of another batch size may sum in another order.
  CHECK(layer.activations()->step().item() == Approx(r / 255).epsilon(1e-5));
  CHECK(layer.weights());
}

TEST_CASE("a step clamps the masters of wrpn weights and leaves the others") {
  auto model = random_network("resnet8", 1);
  quant::prepare(*model, make_policy("wrpn", 4));
  const auto all = quant::layers(*model);
  nn::NamedTensors weights;
  for (size_t i : {0u, 1u}) {
    Tensor weight = all[i].module->parameter("weight");
    weight.fill(3);
    weight.set_grad(Tensor::full(weight.shape(), 0));
    weights.emplace_back(all[i].name, weight);
  }
  nn::Sgd sgd({{.parameters = weights}}, {});
  sgd.prepare_step(0.1);
  quant::apply_step(sgd, *model);
  CHECK(max(all[0].module->parameter("weight").detach()).item() == 3);
  CHECK(max(all[1].module->parameter("weight").detach()).item() == 1);
}

TEST_CASE("health tells zeros, saturation and scales of each quantized layer") {
  auto model = quantized_network("resnet8", make_policy("ttq", 2, "wrpn", 8));
  quant::layers(*model)[1].module->parameter("weight_scale").fill(-0.5);
  model->train();
  NoGrad no_grad;
  model->forward(random_images(2, 3));
  const auto all = quant::health(*model);
  REQUIRE(all.size() == 7);
  CHECK(all[0].layer == "conv1");
  CHECK(all[0].zeros == -1);
  CHECK(all[0].saturated >= 0);
  CHECK(all[1].scale == -0.5f);
  CHECK(all[1].scale_negative > 0);
  CHECK(all[1].zeros > 0);
  CHECK(all[1].zeros < 0.5);
}
