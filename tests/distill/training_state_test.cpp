#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <apprentice/distill/training_state_internal.h>
#include <apprentice/quant/prepare.h>

#include "distill/tiny.h"
#include "support/temp_folder.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

namespace {

quant::ModelInfo info_of(const std::string& weights, int bits) {
  quant::ModelInfo info;
  info.arch = "resnet8";
  info.policy.layer.weights = weights;
  info.policy.layer.w_bits = bits;
  return info;
}

void set_gradients(const nn::Module& network, double value) {
  for (auto [name, p] : network.named_parameters()) p.set_grad(Tensor::full(p.shape(), value));
}

void step(TrainingState& state, float lr) {
  state.prepare_step(lr);
  state.apply_step();
}

}  // namespace

TEST_CASE("a step moves each parameter by the rule of its quantizer") {
  const auto [weights, bits] =
      GENERATE(std::pair<const char*, int>{"wrpn", 4}, std::pair<const char*, int>{"ttq", 2});
  const auto network = narrow()("resnet8", 10, 1);
  const quant::ModelInfo info = info_of(weights, bits);
  quant::prepare(*network, info.policy);
  const auto rules = quant::parameter_rules(*network);
  REQUIRE_FALSE(rules.empty());
  Recipe::Train options;
  options.momentum = 0;
  options.weight_decay = 0.5;
  TrainingState state({{"student", network}}, {info}, options);

  std::map<std::string, Tensor> before;
  for (const auto& [name, p] : network->named_parameters()) before[name] = p.clone();
  set_gradients(*network, 0.25);
  const double lr = 1e-3;
  step(state, float(lr));
  for (const auto& [name, p] : network->named_parameters()) {
    CAPTURE(name, weights);
    const auto rule = rules.count(name) ? rules.at(name) : quant::ParameterRule{};
    const auto was = before[name].to_vector<float>(), is = p.to_vector<float>();
    double worst = 0;
    for (size_t i = 0; i < is.size(); ++i) {
      double to = was[i] - lr * rule.lr_scale * (0.25 + 0.5 * rule.weight_decay_scale * was[i]);
      if (std::string_view(weights) == "wrpn" && rule.lr_scale != 1) to = std::clamp(to, -1.0, 1.0);
      worst = std::max(worst, std::abs(to - is[i]));
    }
    // A handful of f32 roundings of values of order 1.
    CHECK(worst < 8 * 1.2e-7);
    CHECK_FALSE(p.grad().defined());
  }
}

TEST_CASE("a training state written and read again moves on as if nothing had been") {
  const TempFolder folder;
  const quant::ModelInfo info = info_of("ttq", 2);
  const auto a = narrow()("resnet8", 10, 1), b = narrow()("resnet8", 10, 2);
  quant::prepare(*a, info.policy);
  quant::attach(*b, info.policy);
  TrainingState first({{"student", a}}, {info}, {}), second({{"student", b}}, {info}, {});
  set_gradients(*a, 0.25);
  step(first, 0.1f);
  CHECK(first.write(folder.path()) ==
        std::vector<std::string>{"model.safetensors", "optimizer.safetensors"});
  second.read(folder.path());
  CHECK(same_state(*a, *b));
  set_gradients(*a, -0.5);
  set_gradients(*b, -0.5);
  step(first, 0.1f);
  step(second, 0.1f);
  CHECK(same_state(*a, *b));
}
