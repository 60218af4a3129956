#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/sequential.h>

using namespace apprentice;
using Catch::Matchers::Contains;

namespace {

/// conv1, bn1 and linear, the first two in a child without a name.
struct Net : nn::Module {
  Net() {
    Rng rng(1);
    nn::ConvBn2d::Options options;
    options.conv = {.in = 2, .out = 3, .padding = {1, 1}};
    layer = add_module("", std::make_shared<nn::ConvBn2d>(options, rng));
    linear = add_module("linear",
                        std::make_shared<nn::Linear>(nn::Linear::Options{.in = 3, .out = 4}, rng));
  }
  std::shared_ptr<nn::ConvBn2d> layer;
  std::shared_ptr<nn::Linear> linear;

 protected:
  std::string key_of(const std::string& key) const override {
    return key == "fc.bias" ? "linear.bias" : key;
  }
};

std::vector<std::string> names_of(const nn::NamedTensors& tensors) {
  std::vector<std::string> names;
  for (const auto& [name, tensor] : tensors) names.push_back(name);
  return names;
}

nn::StateDict copy_of(const nn::Module& module) {
  nn::StateDict state;
  for (const auto& [name, tensor] : module.state_dict()) state[name] = tensor.clone();
  return state;
}

struct Doubled : nn::Parametrization {
  nn::EffectiveWeight apply(const Tensor& parameter, bool training) const override {
    return {parameter, Tensor::full({1}, training ? 2 : 3), {}, 7};
  }
};

}  // namespace

TEST_CASE("a child without a name puts its tensors under its parent") {
  Net net;
  CHECK(names_of(net.named_parameters()) == std::vector<std::string>{"conv1.weight", "bn1.weight",
                                                                     "bn1.bias", "linear.weight",
                                                                     "linear.bias"});
  CHECK(names_of(net.named_buffers()) ==
        std::vector<std::string>{"bn1.running_mean", "bn1.running_var"});
  std::vector<std::string> modules;
  for (const auto& [name, module] : net.named_modules()) modules.push_back(name);
  CHECK(modules == std::vector<std::string>{"", "", "conv1", "bn1", "linear"});
}

TEST_CASE("the state dict shares memory with the module") {
  Net net;
  nn::StateDict state = net.state_dict();
  CHECK(state.size() == 7);
  state.at("bn1.running_var").fill(5);
  CHECK(net.layer->bn().buffer("running_var").to_vector<float>() == std::vector<float>{5, 5, 5});
}

TEST_CASE("a loaded state gives the values back") {
  Net from, to;
  for (auto& [name, tensor] : from.named_parameters()) tensor.fill(0.5);
  nn::StateDict state = copy_of(from);
  state["bn1.num_batches_tracked"] = Tensor::full({}, 100, Dtype::i64);
  SECTION("by the names of the module") {}
  SECTION("by a name that the model maps") {
    state["fc.bias"] = state.at("linear.bias");
    state.erase("linear.bias");
  }
  to.load_state_dict(state);
  for (auto& [name, tensor] : to.named_parameters()) {
    CAPTURE(name);
    CHECK(tensor.to_vector<float>() == std::vector<float>(size_t(tensor.numel()), 0.5f));
  }
}

TEST_CASE("a state dict that does not fit is refused by name and changes nothing") {
  Net net;
  const std::vector<float> before = net.linear->parameter("bias").to_vector<float>();
  nn::StateDict state = copy_of(net);
  state.at("linear.bias").fill(9);
  SECTION("another shape") {
    state["conv1.weight"] = Tensor::zeros({3, 3, 3, 8});
    CHECK_THROWS_AS(net.load_state_dict(state), ShapeError);
    CHECK_THROWS_WITH(net.load_state_dict(state),
                      "conv1.weight: got [3, 3, 3, 8], the model has [3, 3, 3, 2]");
  }
  SECTION("a missing tensor") {
    state.erase("bn1.running_mean");
    CHECK_THROWS_WITH(net.load_state_dict(state), Contains("1 missing tensor (bn1.running_mean)"));
  }
  SECTION("unknown tensors, the first few named") {
    for (char c = 'a'; c < 'a' + 7; ++c) state[std::string(1, c)] = Tensor::zeros({1});
    CHECK_THROWS_WITH(net.load_state_dict(state),
                      Contains("7 unknown tensors (a, b, c, d, e, ...)"));
  }
  SECTION("one tensor under two names") {
    state["fc.bias"] = state.at("linear.bias").clone();
    CHECK_THROWS_WITH(net.load_state_dict(state), Contains("unknown tensor (fc.bias)"));
  }
  CHECK(net.linear->parameter("bias").to_vector<float>() == before);
}

TEST_CASE("a name is taken once, also through a child without a name") {
  Net net;
  Rng rng(1);
  const auto linear = std::make_shared<nn::Linear>(nn::Linear::Options{.in = 1, .out = 1}, rng);
  CHECK_THROWS_WITH(net.add_module("linear", linear), Contains("linear is registered twice"));
  CHECK_THROWS_WITH(net.add_buffer("bn1", Tensor::zeros({1})), Contains("bn1 is registered twice"));
  CHECK_THROWS_WITH(linear->add_parameter("bias", Tensor::zeros({1})),
                    Contains("bias is registered twice"));
  linear->add_module("conv1", std::make_shared<nn::Sequential>());
  CHECK_THROWS_WITH(net.add_module("", linear), Contains("conv1 is registered twice"));
  CHECK_THROWS_WITH(net.parameter("nothing"), Contains("nothing"));
}

TEST_CASE("train and eval reach every module, also one added later") {
  Net net;
  net.eval();
  CHECK_FALSE(net.layer->bn().training());
  Rng rng(1);
  const auto late = net.add_module(
      "late", std::make_shared<nn::Linear>(nn::Linear::Options{.in = 1, .out = 1}, rng));
  CHECK_FALSE(late->training());
  net.train();
  CHECK(net.layer->bn().training());
  CHECK(late->training());
}

TEST_CASE("parameters want gradients until they are frozen, buffers never do") {
  Net net;
  for (const auto& [name, tensor] : net.named_parameters()) CHECK(tensor.requires_grad());
  for (const auto& [name, tensor] : net.named_buffers()) CHECK_FALSE(tensor.requires_grad());
  net.set_requires_grad(false);
  for (const auto& [name, tensor] : net.named_parameters()) CHECK_FALSE(tensor.requires_grad());
}

TEST_CASE("conversion to f64 keeps values and the wish for gradients") {
  Net net;
  const auto before = net.linear->parameter("weight").to_vector<double>();
  net.linear->set_requires_grad(false);
  net.to(Dtype::f64);
  CHECK(net.linear->parameter("weight").to_vector<double>() == before);
  for (const auto& [name, tensor] : net.state_dict()) CHECK(tensor.dtype() == Dtype::f64);
  CHECK_FALSE(net.linear->parameter("bias").requires_grad());
  CHECK(net.layer->conv().parameter("weight").requires_grad());
  CHECK_THROWS_AS(net.to(Dtype::i8), DtypeError);
}

TEST_CASE("a parametrization decides what the layer uses, by mode") {
  Net net;
  net.linear->parametrize("weight", std::make_shared<Doubled>());
  CHECK(net.linear->effective("weight").step.item() == 2);
  net.eval();
  CHECK(net.linear->effective("weight").step.item() == 3);
  CHECK(net.linear->effective("weight").max_code == 7);
  CHECK_FALSE(net.linear->effective("bias").step.defined());
  net.linear->parametrize("weight", nullptr);
  CHECK_FALSE(net.linear->effective("weight").step.defined());
  CHECK_THROWS_WITH(net.linear->parametrize("w", std::make_shared<Doubled>()), Contains("'w'"));
}

TEST_CASE("a weight of codes stands for code times step, negative codes for their own step") {
  const Tensor codes = Tensor::from<float>({1, 0, -1, 1, -1, 2}, {2, 3});
  const Tensor steps = Tensor::from<float>({2, 10}, {2});
  CHECK(nn::real(nn::EffectiveWeight{codes, steps, {}, 2}).to_vector<float>() ==
        std::vector<float>{2, 0, -2, 10, -10, 20});
  CHECK(nn::real(nn::EffectiveWeight{codes, Tensor::full({1}, 3), Tensor::full({1}, 5), 2})
            .to_vector<float>() == std::vector<float>{3, 0, -5, 3, -5, 6});
  CHECK(nn::real(nn::EffectiveWeight{codes, {}, {}, 0}).to_vector<float>() ==
        codes.to_vector<float>());
}
