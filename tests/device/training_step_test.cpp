#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <apprentice/nn/optimizer.h>
#include <apprentice/quant/prepare.h>

#include <device/test_device.h>
#include <distill/tiny.h>

using namespace apprentice;

namespace {

constexpr double kUnit = 0x1p-24;

/// A ResNet-8 of a quarter of the width with such quantizers; "none" leaves it in f32.
std::shared_ptr<nn::TensorModule> network(const std::string& weights, int w_bits, int a_bits) {
  auto network = test::narrow()("resnet8", 10, 3);
  quant::Policy policy;
  policy.layer = {.weights = weights, .w_bits = w_bits};
  if (weights == "none") return network;
  if (a_bits) policy.layer.activations = "wrpn", policy.layer.a_bits = a_bits;
  quant::prepare(*network, policy);
  return network;
}

/// What one step makes: loss, hits, and by name gradients and everything the network then holds.
struct Step {
  double loss = 0, correct = 0;
  nn::StateDict gradients, state;
};

Step step_on(Device device, nn::TensorModule& network, const std::string& method) {
  distill::MethodSetup setup;
  setup.recipe.distill.method = method;
  setup.recipe.distill.scheme = "B";
  setup.student = {&network, [](nn::TensorModule*) {}};
  setup.teacher = test::narrow()("resnet8", 10, 4);
  network.to(device);
  setup.teacher->to(device);
  nn::Sgd sgd({{.parameters = network.named_parameters(), .weight_decay = 1e-4}},
              {.momentum = 0.9, .nesterov = true});
  network.train();
  const auto made = test::make_method(setup);
  distill::StepResult result = test::run_step(*made, test::colours_batch(4).to(device));
  run_backward(result);
  Step step{result.loss.item(), result.correct.item(), {}, {}};
  for (const auto& [name, parameter] : network.named_parameters()) {
    REQUIRE(parameter.device() == device);
    REQUIRE(parameter.grad().device() == device);
    step.gradients[name] = parameter.grad().to(Device{}).clone();
  }
  sgd.prepare_step(0.1);
  quant::apply_step(sgd, network);
  for (const auto& [name, tensor] : network.state_dict()) {
    REQUIRE(tensor.device() == device);
    step.state[name] = tensor.to(Device{}).clone();
  }
  return step;
}

/// The largest |a - b| as a part of the largest |b|.
double distance(const Tensor& a, const Tensor& b) {
  const auto va = a.to_vector<double>(), vb = b.to_vector<double>();
  double worst = 0, size = 0;
  for (size_t i = 0; i < va.size(); ++i) {
    worst = std::max(worst, std::abs(va[i] - vb[i]));
    size = std::max(size, std::abs(vb[i]));
  }
  return size > 0 ? worst / size : worst;
}

}  // namespace

TEST_CASE("a step of training on a device is the CPU's: loss, gradients, weights, statistics") {
  struct Case {
    const char *weights, *method;
    int w_bits, a_bits;
  };
  // Forward and back there are 2 * 8 layers; in each a value is rounded some ten times, and what
  // batch norm divides by its deviation makes of that at most four times as much. No value of this
  // batch lies so near a tie that this moves its code.
  const double bound = 2 * 8 * 10 * 4 * kUnit;
  for (const Case& c : {Case{"none", "none", 0, 0}, Case{"none", "apprentice", 0, 0},
                        Case{"twn", "apprentice", 2, 8}, Case{"ttq", "none", 2, 8},
                        Case{"wrpn", "none", 4, 4}, Case{"ttq", "none", 2, 0}}) {
    CAPTURE(c.weights, c.method, c.w_bits, c.a_bits);
    const auto here = network(c.weights, c.w_bits, c.a_bits);
    const auto there = network(c.weights, c.w_bits, c.a_bits);
    const Step expected = step_on({}, *here, c.method);
    const Step got = step_on(test_device(), *there, c.method);
    CHECK(std::abs(got.loss - expected.loss) <= bound * std::abs(expected.loss));
    CHECK(got.correct == expected.correct);
    for (const auto* pair : {&got, &expected}) CHECK(!pair->gradients.empty());
    for (const auto& [name, gradient] : expected.gradients) {
      CAPTURE(name);
      CHECK(distance(got.gradients.at(name), gradient) <= bound);
    }
    for (const auto& [name, tensor] : expected.state) {
      CAPTURE(name);
      CHECK(distance(got.state.at(name), tensor) <= bound);
    }
  }
}

TEST_CASE("handles taken before a module moves are its own after, gradients too") {
  const Device device = test_device();
  const auto net = network("ttq", 2, 8);
  const nn::NamedTensors before = net->named_parameters();
  const std::string hash = distill::state_hash(*net);
  Tensor first = before.front().second;
  first.set_grad(Tensor::full(first.shape(), 2));
  net->to(device);
  CHECK(net->device() == device);
  CHECK(first.device() == device);
  CHECK(first.grad().device() == device);
  CHECK(distill::state_hash(*net) == hash);
  first.fill(0);
  CHECK(net->named_parameters().front().second.to_vector<float>().front() == 0);
  net->to(Device{});
  CHECK(net->device() == Device{});
  CHECK(first.to_vector<float>().front() == 0);
}
