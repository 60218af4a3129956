#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/state.h>
#include <apprentice/models/resnet_cifar.h>
#include <apprentice/nn/optimizer.h>
#include <support/module_gradcheck.h>
#include <support/temp_folder.h>

using namespace apprentice;

namespace {

Tensor images(int64_t n, uint64_t seed, int64_t side = 32) {
  Rng rng(seed, RngPurpose::test);
  return Tensor::normal({n, side, side, 3}, 0, 1, rng);
}

}  // namespace

TEST_CASE("a ResNet gives one row of logits an image, whatever the size of the images") {
  ResNetCifar net(8, {.classes = 7, .width = 0.5});
  for (bool training : {true, false}) {
    net.train(training);
    CHECK(net.forward(images(2, 1)).shape() == Shape{2, 7});
    CHECK(net.features(images(2, 1, 17)).shape() == Shape{2, 32});
  }
  CHECK_THROWS_AS(net.forward(Tensor::zeros({1, 8, 8, 4})), ShapeError);
}

TEST_CASE("a ResNet has torchvision's names in torchvision's order") {
  ResNetCifar net(14, {});
  const nn::NamedTensors parameters = net.named_parameters();
  const std::vector<std::string> first{
      "conv1.weight",          "bn1.weight",          "bn1.bias",
      "layer1.0.conv1.weight", "layer1.0.bn1.weight", "layer1.0.bn1.bias",
      "layer1.0.conv2.weight"};
  for (size_t i = 0; i < first.size(); ++i) CHECK(parameters[i].first == first[i]);
  CHECK(parameters.back().first == "linear.bias");
  CHECK(net.state_dict().count("layer3.1.bn2.running_var") == 1);
}

TEST_CASE("a saved ResNet answers as before when loaded, its classifier named linear or fc") {
  ResNetCifar net(8, {.seed = 1}), other(8, {.seed = 2});
  net.forward(images(4, 3));  // moves the running statistics
  test::TempFolder folder;
  const std::string path = folder / "net.safetensors";
  State state{net.state_dict(), {{"arch", "resnet8"}}};
  if (GENERATE(false, true)) {
    for (const char* part : {"weight", "bias"}) {
      state.tensors[std::string("fc.") + part] = state.tensors.at(std::string("linear.") + part);
      state.tensors.erase(std::string("linear.") + part);
    }
  }
  save_state(path, state);
  other.load_state_dict(load_state(path).tensors);
  net.eval();
  other.eval();
  NoGrad no_grad;
  const Tensor x = images(2, 4);
  CHECK(other.forward(x).to_vector<float>() == net.forward(x).to_vector<float>());
}

TEST_CASE("a ResNet of another width is refused by the name of its first tensor that differs") {
  ResNetCifar net(8, {}), narrow(8, {.width = 0.5});
  CHECK_THROWS_WITH(net.load_state_dict(narrow.state_dict()),
                    Catch::Matchers::Contains("bn1.bias: got [8], the model has [16]"));
}

TEST_CASE("with its residual branches silenced a ResNet hands the stem's channels through") {
  ResNetCifar net(14, {.seed = 2});
  for (auto& [name, parameter] : net.named_parameters())
    if (name.find("bn2.") != std::string::npos) parameter.fill(0);
  const auto features = net.features(images(1, 8)).to_vector<float>();
  // Option A puts 16 channels at 8 of 32, and those at 16 of 64.
  for (size_t c = 0; c < features.size(); ++c) {
    CAPTURE(c);
    CHECK((features[c] > 0) == (c >= 24 && c < 40));
  }
}

TEST_CASE("gradients of a small ResNet agree with differences, and reach the image") {
  ResNetCifar net(8, {.classes = 3, .width = 0.125, .seed = 5});
  net.to(Dtype::f64);
  net.train(GENERATE(true, false));
  const Tensor x = images(3, 6, 8).to(Dtype::f64);
  CHECK(test::module_gradcheck(net, [&] { return net.forward(x); }) == "");
  Tensor leaf = x.clone();
  leaf.set_requires_grad();
  sum(net.forward(leaf)).backward();
  CHECK(leaf.grad().shape() == x.shape());
}

TEST_CASE("a ResNet learns eight images by heart") {
  ResNetCifar net(8, {.width = 0.5, .seed = 3});
  const Tensor x = images(8, 9, 16);
  const Tensor labels = Tensor::from<int64_t>({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  nn::Sgd optimizer({{.parameters = net.named_parameters()}}, {.momentum = 0.9});
  double loss = 0;
  for (int step = 0; step < 40; ++step) {
    optimizer.zero_grad();
    const Tensor l = cross_entropy(net.forward(x), labels);
    l.backward();
    optimizer.step(0.05);
    loss = l.item();
  }
  CHECK(loss < 0.05);
  NoGrad no_grad;
  CHECK(argmax(net.forward(x), 1).to_vector<int64_t>() == labels.to_vector<int64_t>());
}

TEST_CASE("depths that are not 6n + 2 and widths without channels are refused") {
  for (int64_t depth : {0, 2, 7, 9, 21}) CHECK_THROWS_AS(ResNetCifar(depth, {}), ConfigError);
  CHECK_THROWS_AS(ResNetCifar(8, {.width = 0}), ConfigError);
}
