// Networks whose activations are stored in bf16 (core/precision.h).
#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/files.h>
#include <apprentice/base/graph.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/precision.h>
#include <apprentice/distill/trainer.h>
#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/quant/prepare.h>

#include <device/test_device.h>
#include <distill/tiny_parts.h>
#include <nn/conv_bn2d_layer.h>
#include <support/temp_folder.h>

using namespace apprentice;

namespace {

/// A ResNet-8 of a quarter of the width on the device; "none" leaves it in full precision.
std::shared_ptr<nn::TensorModule> network(const std::string& weights) {
  auto network = test::narrow()("resnet8", 10, 3);
  quant::Policy policy;
  policy.layer = {.weights = weights, .w_bits = 2, .activations = "wrpn", .a_bits = 8};
  if (weights != "none") quant::prepare(*network, policy);
  network->to(test_device());
  return network;
}

/// What one step makes.
struct Step {
  double loss = 0;
  size_t kept = 0;  ///< bytes of the device that the forward keeps for the backward
  nn::StateDict gradients;
};
Step step_of(nn::TensorModule& network, const std::string& method, Precision precision,
             bool round_images) {
  distill::MethodSetup setup;
  setup.recipe.distill.method = method;
  setup.recipe.distill.scheme = "B";
  setup.student = {&network, [](nn::TensorModule*) {}};
  setup.teacher = test::narrow()("resnet8", 10, 4);
  setup.teacher->to(test_device());
  network.train();
  auto batch = test::colours_batch(8).to(test_device());
  if (round_images) batch.x = batch.x.to(Dtype::bf16).to(Dtype::f32);
  const auto steps = test::make_method(setup);
  const PrecisionGuard guard(precision);
  const size_t before = device_allocator(test_device()).use().live;
  const auto result = test::run_step(*steps, batch);
  Step step;
  step.kept = device_allocator(test_device()).use().live - before;
  result.loss.backward();
  step.loss = result.loss.item();
  CHECK(result.loss.dtype() == Dtype::f32);
  for (const auto& [name, parameter] : network.named_parameters()) {
    CAPTURE(name);
    CHECK(parameter.dtype() == Dtype::f32);
    REQUIRE(parameter.grad());
    CHECK(parameter.grad().dtype() == Dtype::f32);
    step.gradients[name] = parameter.grad().to(Device{}).clone();
  }
  return step;
}

/// cos of the angle between two gradients of all parameters.
double cosine(const nn::StateDict& a, const nn::StateDict& b) {
  double ab = 0, aa = 0, bb = 0;
  for (const auto& [name, tensor] : a) {
    const auto va = tensor.to_vector<double>(), vb = b.at(name).to_vector<double>();
    for (size_t i = 0; i < va.size(); ++i)
      ab += va[i] * vb[i], aa += va[i] * va[i], bb += vb[i] * vb[i];
  }
  return ab / std::sqrt(aa * bb);
}

/// Notes what it is given.
struct Spy final : test::Grid {
  using Grid::Grid;
  nn::Scaled apply(const Tensor& real) override {
    given = real.dtype();
    return Grid::apply(real);
  }
  Dtype given = Dtype::u8;
};

}  // namespace

TEST_CASE("layers of a network hand on bf16 in training and of a frozen teacher, codes too") {
  const PrecisionGuard guard(Precision::bf16);
  Rng rng(1);
  const Tensor x = Tensor::normal({2, 8, 8, 8}, 0, 1, rng).to(test_device());
  const auto layer = test::make_layer(rng, true, 8);
  layer->to(test_device());
  const nn::Scaled y = layer->forward({x, {}, 0});
  CHECK(y.data.dtype() == Dtype::bf16);
  CHECK(layer->forward({x.to(Dtype::bf16), {}, 0}, y).data.dtype() == Dtype::bf16);
  layer->eval();
  {
    const NoGrad no_grad;
    CHECK(layer->forward({x, {}, 0}).data.dtype() == Dtype::bf16);
  }
  const auto net = network("twn");
  net->train();
  int layers = 0;
  for (const auto& [name, module] : net->named_modules()) {
    auto* quantized = dynamic_cast<nn::ConvBn2d*>(module);
    if (!quantized || !quantized->conv().parametrization("weight")) continue;
    CAPTURE(name);
    ++layers;
    const int64_t in = quantized->options().conv.in;
    const Tensor step = Tensor::full({1}, 0.25).to(test_device());
    const Tensor codes = test::random_codes({2, 4, 4, in}, 0, 255, rng).to(test_device());
    const nn::Scaled wide = quantized->forward({codes, step, 255});
    const nn::Scaled narrow = quantized->forward({codes.to(Dtype::bf16), step, 255});
    CHECK(narrow.coded());
    CHECK(narrow.data.dtype() == Dtype::bf16);
    // Sums of integers are kept in f32, so the codes are f32's.
    CHECK(narrow.data.to_vector<float>() == wide.data.to_vector<float>());
    const PrecisionGuard plain(Precision::f32);
    CHECK(quantized->forward({codes, step, 255}).data.to_vector<float>() ==
          narrow.data.to_vector<float>());
  }
  REQUIRE(layers > 0);
}

TEST_CASE("a layer of codes with real weights normalises sums that are f32, and adds any codes") {
  Rng rng(4);
  const Tensor codes = test::random_codes({2, 6, 6, 8}, 0, 255, rng).to(test_device());
  const Tensor step = Tensor::full({1}, 0.25).to(test_device());
  const auto layer = test::make_layer(rng, true, 8);
  layer->conv().parameter("weight").copy_from(test::random_codes({5, 3, 3, 8}, -7, 7, rng));
  layer->to(test_device());
  // Codes of both signs around 128, as a projection hands them on.
  const Tensor added = test::random_codes({2, 3, 3, 5}, 0, 255, rng).to(test_device());
  for (const nn::Scaled& residual : {nn::Scaled{}, nn::Scaled{added, step, 255, 128}}) {
    const Tensor expected = layer->forward({codes, step, 255}, residual).data.to(Dtype::bf16);
    const PrecisionGuard guard(Precision::bf16);
    nn::Scaled given = residual;
    if (given.data) given.data = given.data.to(Dtype::bf16);
    const Tensor narrow = layer->forward({codes.to(Dtype::bf16), step, 255}, given).data;
    CHECK(narrow.dtype() == Dtype::bf16);
    CHECK(narrow.to_vector<float>() == expected.to_vector<float>());
  }
}

TEST_CASE("a quantizer behind batch norm gets f32, and evaluation by codes knows no precision") {
  Rng rng(3);
  const Tensor x = Tensor::normal({2, 6, 6, 3}, 0, 1, rng).to(test_device());
  const auto layer = test::make_layer(rng, false);
  layer->to(test_device());
  const auto spy = std::make_shared<Spy>(0.05f, 255, 128);
  spy->step_ = spy->step_.to(test_device());
  layer->set_activation(spy);
  layer->train();
  const PrecisionGuard guard(Precision::bf16);
  CHECK(layer->forward({x, {}, 0}).data.dtype() == Dtype::bf16);  // codes of 8 bits
  CHECK(spy->given == Dtype::f32);
  layer->eval();
  const NoGrad no_grad;
  const Tensor narrow = x.to(Dtype::bf16);
  const nn::Scaled y = layer->forward({narrow, {}, 0});
  CHECK(y.data.dtype() == Dtype::f32);
  const PrecisionGuard plain(Precision::f32);
  const nn::Scaled expected = layer->forward({narrow.to(Dtype::f32), {}, 0});
  CHECK(y.data.to_vector<float>() == expected.data.to_vector<float>());
}

TEST_CASE("a grouped layer of real inputs has the codes of f32 in evaluation, in any precision") {
  Rng rng(5);
  const Tensor x = Tensor::normal({2, 6, 6, 6}, 0, 1, rng).to(test_device());
  nn::ConvBn2d layer({.conv = {.in = 6, .out = 4, .kernel_size = {3, 3}, .groups = 2}}, rng);
  const auto grid = std::make_shared<test::Grid>(0.01f, 255, 0);
  grid->step_ = grid->step_.to(test_device());
  layer.to(test_device());
  layer.set_activation(grid);
  layer.eval();
  const NoGrad no_grad;
  const auto expected = layer.forward({x, {}, 0}).data.to_vector<float>();
  const PrecisionGuard guard(Precision::bf16);
  CHECK(layer.forward({x, {}, 0}).data.to_vector<float>() == expected);
}

TEST_CASE("sums of codes that are stored in bf16 are the integers of f32") {
  Rng rng(2);
  const Tensor x = test::random_codes({2, 5, 5, 64}, 128, 255, rng).to(test_device());
  const Tensor w = test::random_codes({6, 3, 3, 64}, -7, 7, rng).to(test_device());
  const auto sums = conv2d(x, w).to_vector<float>();
  const PrecisionGuard guard(Precision::bf16);
  const Tensor narrow = conv2d(x.to(Dtype::bf16), w);
  CHECK(narrow.dtype() == Dtype::f32);
  CHECK(narrow.to_vector<float>() == sums);
}

TEST_CASE("a step in bf16 is near that in f32, keeps less, and is the same each time") {
  const auto [weights, method, most_kept] = GENERATE(table<const char*, const char*, double>(
      {{"none", "none", 0.6}, {"none", "apprentice", 0.6}, {"twn", "apprentice", 0.8}}));
  CAPTURE(weights, method);
  const auto run = [&, w = std::string(weights), m = std::string(method)](Precision precision,
                                                                          bool round_images) {
    const auto net = network(w);
    return step_of(*net, m, precision, round_images);
  };
  const Step wide = run(Precision::f32, false), rounded = run(Precision::f32, true);
  const Step narrow = run(Precision::bf16, false), again = run(Precision::bf16, false);
  CHECK(std::abs(narrow.loss - wide.loss) <= 0x1p-8 * wide.loss);
  // What f32 makes of images that are rounded to bf16 shows how much the network makes of one
  // rounding: batch norm, ties of codes. Those of eight layers are independent, so squares add.
  CHECK(1 - cosine(narrow.gradients, wide.gradients) <=
        8 * (1 - cosine(rounded.gradients, wide.gradients)));
  CHECK(narrow.loss != wide.loss);
  CHECK(double(narrow.kept) <= most_kept * double(wide.kept));
  CHECK(again.loss == narrow.loss);
  for (const auto& [name, gradient] : narrow.gradients) {
    CAPTURE(name);
    CHECK(test::same_bits(again.gradients.at(name), gradient));
  }
}

TEST_CASE("a recorded step in bf16 holds less memory") {
  // Of eight bytes of each output, before batch norm and behind it, four are left; of a layer of
  // codes, whose sums stay f32, six. The rest is of the weights.
  const auto [weights, most] =
      GENERATE(table<const char*, double>({{"none", 0.65}, {"twn", 0.85}}));
  CAPTURE(weights);
  const auto held = [w = std::string(weights)](Precision precision) {
    const auto net = network(w);
    net->train();
    const auto batch = test::colours_batch(8).to(test_device());
    const PrecisionGuard guard(precision);
    const Graph graph(test_device(),
                      [&] { cross_entropy(net->forward(batch.x), batch.labels).backward(); });
    return double(graph.memory().held);
  };
  CHECK(held(Precision::bf16) <= most * held(Precision::f32));
}

TEST_CASE("a recorded step in bf16 ends in the same bits as one that is not recorded") {
  const test::TempFolder folder;
  distill::Recipe recipe;
  recipe.model.arch = recipe.teacher.weights = "resnet8";
  recipe.data.name = "colours";
  recipe.quant.weights = "twn";
  recipe.quant.activations = "wrpn";
  recipe.distill.method = "apprentice";
  recipe.distill.scheme = "B";
  recipe.train.precision = "bf16";
  recipe.train.epochs = 2;
  recipe.train.batch = 4;
  recipe.train.workers = 0;
  std::vector<std::string> endings;
  for (const bool graph : {false, true}) {
    distill::TrainerOptions options;
    options.output = folder / (graph ? "recorded" : "plain");
    options.device = test_device();
    options.graph = graph;
    const auto result = distill::train(test::parts_of(recipe, 8, 4), options);
    CHECK(result.recorded_steps == (graph ? 2 : 0));
    endings.push_back(read_file(result.checkpoint + "/model.safetensors") +
                      read_file(result.checkpoint + "/optimizer.safetensors"));
  }
  CHECK(bool(endings[0] == endings[1]));
}
