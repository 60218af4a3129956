#include <catch2/catch.hpp>

#include <array>
#include <cmath>
#include <functional>
#include <memory>

#include <apprentice/base/error.h>
#include <apprentice/core/state.h>
#include <apprentice/nn/optimizer.h>

using namespace apprentice;
using Catch::Matchers::Contains;
using nn::ParameterGroup;

namespace {

using Maker = std::function<std::unique_ptr<nn::Optimizer>(std::vector<ParameterGroup>)>;

Maker sgd(double momentum, bool nesterov) {
  return [=](std::vector<ParameterGroup> groups) {
    return std::make_unique<nn::Sgd>(std::move(groups),
                                     nn::Sgd::Options{.momentum = momentum, .nesterov = nesterov});
  };
}

Maker adam(bool decoupled) {
  return [=](std::vector<ParameterGroup> groups) {
    return std::make_unique<nn::Adam>(std::move(groups), nn::Adam::Options{.decoupled = decoupled});
  };
}

Tensor parameter(std::vector<float> values) {
  Tensor p = Tensor::from(values, {int64_t(values.size())});
  p.set_requires_grad();
  return p;
}

}  // namespace

TEST_CASE("three steps of every optimizer match the golden values") {
  const State golden = load_state(APPRENTICE_TEST_GOLDEN "/ops.safetensors");
  struct Case {
    const char* name;
    Maker make;
    double lr, weight_decay;
  };
  const Case c =
      GENERATE(Case{"sgd", sgd(0, false), 0.1, 0}, Case{"sgd_momentum", sgd(0.9, false), 0.1, 1e-2},
               Case{"sgd_nesterov", sgd(0.9, true), 0.1, 1e-2},
               Case{"adam", adam(false), 1e-2, 1e-2}, Case{"adamw", adam(true), 1e-2, 1e-2});
  const auto of = [&](const char* what, int step) {
    return golden.tensors.at(std::string(c.name) + "." + what + std::to_string(step));
  };
  Tensor p = of("p", 0).clone();
  p.set_requires_grad();
  const auto optimizer =
      c.make({{.parameters = {{"p", p}}, .lr_scale = 1, .weight_decay = c.weight_decay}});
  for (int step = 1; step <= 3; ++step) {
    p.set_grad(of("g", step).clone());
    optimizer->step(c.lr);
    const auto got = p.to_vector<double>(), expected = of("p", step).to_vector<double>();
    for (size_t i = 0; i < got.size(); ++i) {
      CAPTURE(c.name, step, i);
      // Below ten roundings a step, of values up to 4.
      CHECK(std::abs(got[i] - expected[i]) <= step * 10 * 4 * 0x1p-24);
    }
  }
}

TEST_CASE("a group scales its learning rate, and a parameter without gradient stays") {
  Tensor a = parameter({1}), b = parameter({1}), c = parameter({1});
  nn::Sgd optimizer(
      {{.parameters = {{"a", a}}}, {.parameters = {{"b", b}, {"c", c}}, .lr_scale = 0.25}}, {});
  a.set_grad(Tensor::full({1}, 1));
  b.set_grad(Tensor::full({1}, 1));
  optimizer.step(0.5);
  CHECK(a.item() == 0.5);
  CHECK(b.item() == 0.875);
  CHECK(c.item() == 1);
  optimizer.zero_grad();
  CHECK_FALSE(a.grad().defined());
  optimizer.step(0.5);
  CHECK(a.item() == 0.5);
}

TEST_CASE("an optimizer continues from its saved state as if never stopped") {
  const Maker make = GENERATE(sgd(0.9, true), adam(true));
  Tensor p = parameter({1, 2, 3}), q = parameter({1, 2, 3});
  auto straight = make({{.parameters = {{"p", p}}}});
  const Tensor grad = Tensor::from<float>({0.5f, -1, 2}, {3});
  p.set_grad(grad);
  straight->step(0.1);
  q.copy_from(p);
  nn::StateDict saved;
  for (const auto& [name, tensor] : straight->state()) saved[name] = tensor.clone();
  auto resumed = make({{.parameters = {{"p", q}}}});
  resumed->load_state(saved);
  q.set_grad(grad);
  resumed->step(0.1);
  straight->step(0.1);
  CHECK(q.to_vector<float>() == p.to_vector<float>());

  nn::StateDict other = saved;
  other["x"] = grad;
  CHECK_THROWS_WITH(resumed->load_state(other), Contains("unknown tensor x"));
  const std::string first = saved.begin()->first;
  other = saved;
  other.at(first) = Tensor::zeros({7});
  CHECK_THROWS_WITH(resumed->load_state(other), Contains(first) && Contains("[7]"));
  saved.erase(first);
  CHECK_THROWS_WITH(resumed->load_state(saved), Contains(first + " is missing"));
}

TEST_CASE("optimizers refuse what makes no sense") {
  Tensor p = parameter({1});
  CHECK_THROWS_AS(nn::Sgd({{.parameters = {{"p", p}, {"p", p}}}}, {}), ConfigError);
  CHECK_THROWS_AS(nn::Sgd({}, {.momentum = 1}), ConfigError);
  CHECK_THROWS_AS(nn::Sgd({}, {.nesterov = true}), ConfigError);
  CHECK_THROWS_AS(nn::Adam({}, {.beta2 = 1}), ConfigError);
  CHECK_THROWS_AS(nn::Adam({}, {.eps = 0}), ConfigError);
}

TEST_CASE("a step says of which parameters it has made the codes, and bounds them") {
  const Maker make = GENERATE(sgd(0, false), sgd(0.9, true), adam(false));
  Tensor moved = parameter({1, -1, 0.1f}), idle = parameter({3, 3, 3});
  moved.set_grad(Tensor::from<float>({-1, 1, 0}, {3}));
  const auto optimizer = make({{.parameters = {{"moved", moved}, {"idle", idle}}}});
  std::vector<float> codes(6);
  const auto ask = [&](Tensor& p, float* to) {
    const std::array<int64_t, 2> row{1, 3};
    return nn::ParameterCodes{
        p, {std::as_const(p).as<float>(row), {to, row}, kernels::QuantizeWeights::Rule::mean}, 1};
  };
  std::vector<nn::ParameterCodes> asked{ask(idle, &codes[0]), ask(moved, &codes[3])};
  optimizer->prepare_step(0.5);
  optimizer->apply_step(asked);
  CHECK_FALSE(asked[0].made);
  CHECK(asked[1].made);
  CHECK(codes == std::vector<float>{0, 0, 0, 1, -1, 0});
  CHECK(moved.to_vector<float>() == std::vector<float>{1, -1, 0.1f});
  CHECK(idle.to_vector<float>() == std::vector<float>{3, 3, 3});
  optimizer->prepare_step(0.5);
  optimizer->apply_step();  // asks for nothing
  CHECK(moved.to_vector<float>()[0] > 1);
}
