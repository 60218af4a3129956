#include <catch2/catch.hpp>

#include <cmath>
#include <set>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/batch_norm.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/linear.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/pool.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/state.h>
#include <apprentice/models/resnet_imagenet.h>
#include <apprentice/nn/optimizer.h>
#include <support/module_gradcheck.h>
#include <support/temp_folder.h>

using namespace apprentice;

namespace {

Tensor images(int64_t n, uint64_t seed, int64_t side = 32) {
  Rng rng(seed, RngPurpose::test);
  return Tensor::normal({n, side, side, 3}, 0, 1, rng);
}

/// Sets every layer whose name ends so to a batch norm that gives 0.
void silence(nn::Module& net, const std::string& bn) {
  for (auto& [name, parameter] : net.named_parameters())
    if (name.find(bn + ".") != std::string::npos) parameter.fill(0);
}

/// torchvision's definition, operation by operation, on a state of its keys.
struct Definition {
  nn::StateDict state;
  bool bottleneck;

  Tensor normed(const Tensor& x, const std::string& conv, const std::string& bn,
                int64_t stride) const {
    const Tensor weight = state.at(conv + ".weight");
    const int64_t padding = weight.size(1) / 2;
    const Tensor y =
        conv2d(x, weight, {}, {.stride = {stride, stride}, .padding = {padding, padding}});
    return batch_norm_eval(y, state.at(bn + ".weight"), state.at(bn + ".bias"),
                           state.at(bn + ".running_mean"), state.at(bn + ".running_var"));
  }
  Tensor block(const Tensor& x, const std::string& name, int64_t stride) const {
    const auto layer = [&](const Tensor& in, const std::string& i, int64_t step) {
      return normed(in, name + ".conv" + i, name + ".bn" + i, step);
    };
    const Tensor first = relu(layer(x, "1", bottleneck ? 1 : stride));
    Tensor y = layer(first, "2", bottleneck ? stride : 1);
    if (bottleneck) y = layer(relu(y), "3", 1);
    const bool projected = state.count(name + ".downsample.0.weight") != 0;
    return relu(
        y + (projected ? normed(x, name + ".downsample.0", name + ".downsample.1", stride) : x));
  }
  Tensor operator()(const Tensor& x) const {
    Tensor y = max_pool2d(relu(normed(x, "conv1", "bn1", 2)),
                          {.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
    for (int64_t stage = 1; stage <= 4; ++stage)
      for (int64_t i = 0;; ++i) {
        const std::string name = fmt::format("layer{}.{}", stage, i);
        if (state.count(name + ".conv1.weight") == 0) break;
        y = block(y, name, stage > 1 && i == 0 ? 2 : 1);
      }
    return linear(global_avg_pool2d(y), state.at("fc.weight"), state.at("fc.bias"));
  }
};

}  // namespace

TEST_CASE("an ImageNet ResNet is torchvision's definition, operation by operation") {
  const int64_t depth = GENERATE(18, 34, 50);
  ResNetImageNet net(depth, {.classes = 5, .width = 0.125, .seed = 4});
  Rng rng(5, RngPurpose::test);
  for (auto& [name, tensor] : net.state_dict())
    if (tensor.rank() == 1) tensor.copy_from(Tensor::uniform(tensor.shape(), 0.3f, 0.9f, rng));
  net.to(Dtype::f64);
  net.eval();
  NoGrad no_grad;
  const Tensor x = images(2, 6, 37).to(Dtype::f64);
  const auto got = net.forward(x).to_vector<double>();
  const auto expected = Definition{net.state_dict(), depth == 50}(x).to_vector<double>();
  // Some 20 to 50 layers of up to 2,304 terms in f64.
  for (size_t i = 0; i < expected.size(); ++i)
    CHECK(std::abs(got[i] - expected[i]) <= 1e-10 * (1 + std::abs(expected[i])));
}

TEST_CASE("every ImageNet ResNet has torchvision's number of parameters and 1,000 classes") {
  const auto [name, expected] = GENERATE(table<const char*, int64_t>(
      {{"resnet18", 11689512}, {"resnet34", 21797672}, {"resnet50", 25557032}}));
  const auto model = make_model(name);
  int64_t count = 0;
  for (const Tensor& parameter : model->parameters()) count += parameter.numel();
  CAPTURE(name);
  CHECK(count == expected);
  CHECK(model->state_dict().at("fc.bias").numel() == 1000);
  CHECK(architecture(name).side == 224);
}

TEST_CASE("an ImageNet ResNet has torchvision's names in torchvision's order") {
  ResNetImageNet net(50, {.classes = 5, .width = 0.125});
  const nn::NamedTensors parameters = net.named_parameters();
  const std::vector<std::string> first{"conv1.weight",
                                       "bn1.weight",
                                       "bn1.bias",
                                       "layer1.0.conv1.weight",
                                       "layer1.0.bn1.weight",
                                       "layer1.0.bn1.bias",
                                       "layer1.0.conv2.weight",
                                       "layer1.0.bn2.weight",
                                       "layer1.0.bn2.bias",
                                       "layer1.0.conv3.weight",
                                       "layer1.0.bn3.weight",
                                       "layer1.0.bn3.bias",
                                       "layer1.0.downsample.0.weight",
                                       "layer1.0.downsample.1.weight",
                                       "layer1.0.downsample.1.bias",
                                       "layer1.1.conv1.weight"};
  for (size_t i = 0; i < first.size(); ++i) CHECK(parameters[i].first == first[i]);
  CHECK(parameters.back().first == "fc.bias");
  const nn::StateDict state = net.state_dict();
  CHECK(state.count("layer4.0.downsample.1.running_var") == 1);
  CHECK(state.count("layer4.1.downsample.0.weight") == 0);
  CHECK(state.at("conv1.weight").shape() == Shape{8, 7, 7, 3});
  CHECK(state.at("layer4.0.downsample.0.weight").shape() == Shape{256, 1, 1, 128});
  CHECK(ResNetImageNet(18, {.width = 0.125}).state_dict().count("layer1.0.downsample.0.weight") ==
        0);
}

TEST_CASE("the stride of a bottleneck lies in its 3x3 convolution and in its projection") {
  ResNetImageNet net(50, {.classes = 5, .width = 0.125});
  std::set<std::string> strided;
  for (const auto& [name, module] : net.named_modules())
    if (const auto* conv = dynamic_cast<nn::Conv2d*>(module);
        conv && conv->options().stride[0] == 2)
      strided.insert(name);
  CHECK(strided == std::set<std::string>{"conv1", "layer2.0.conv2", "layer2.0.downsample.0",
                                         "layer3.0.conv2", "layer3.0.downsample.0",
                                         "layer4.0.conv2", "layer4.0.downsample.0"});
}

TEST_CASE("an ImageNet ResNet halves the image five times and gives one row of logits") {
  const int64_t depth = GENERATE(18, 34, 50);
  ResNetImageNet net(depth, {.classes = 7, .width = 0.125});
  Shape last;
  for (const auto& [name, module] : net.named_modules())
    if (auto* layer = dynamic_cast<nn::ConvBn2d*>(module))
      layer->set_observer([&](const nn::Observation& seen) { last = seen.y.data.shape(); });
  net.eval();
  NoGrad no_grad;
  CHECK(net.forward(images(2, 1, 65)).shape() == Shape{2, 7});
  const int64_t channels = depth == 50 ? 256 : 64;
  CHECK(last == Shape{2, 3, 3, channels});
  CHECK(net.features(images(1, 1, 33)).shape() == Shape{1, channels});
  CHECK_THROWS_AS(net.forward(Tensor::zeros({1, 32, 32, 4})), ShapeError);
}

TEST_CASE(
    "with its branches and projections silenced an ImageNet ResNet gives its classifier's bias") {
  const int64_t depth = GENERATE(18, 50);
  ResNetImageNet net(depth, {.classes = 3, .width = 0.125, .seed = 2});
  silence(net, depth == 50 ? "bn3" : "bn2");
  net.eval();
  NoGrad no_grad;
  const auto sum_of_features = [&] { return sum(net.features(images(1, 8))).item(); };
  CHECK(sum_of_features() > 0);  // projections carry the stem through
  silence(net, "downsample.1");
  CHECK(sum_of_features() == 0);
  const Tensor logits = net.forward(images(1, 8));
  CHECK(logits.to_vector<float>() == net.state_dict().at("fc.bias").to_vector<float>());
}

TEST_CASE(
    "a saved ImageNet ResNet answers as before when loaded, its classifier named fc or linear") {
  const ModelOptions options{.classes = 5, .width = 0.125, .seed = 1};
  ResNetImageNet net(18, options), other(18, {.classes = 5, .width = 0.125, .seed = 2});
  net.forward(images(2, 3));  // moves the running statistics
  test::TempFolder folder;
  const std::string path = folder / "net.safetensors";
  State state{net.state_dict(), {{"arch", "resnet18"}}};
  if (GENERATE(false, true)) {
    for (const char* part : {"weight", "bias"}) {
      state.tensors[std::string("linear.") + part] = state.tensors.at(std::string("fc.") + part);
      state.tensors.erase(std::string("fc.") + part);
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

TEST_CASE("gradients of projection blocks agree with differences") {
  const bool bottleneck = GENERATE(false, true), training = GENERATE(false, true);
  Rng rng(4);
  ProjectionBlock block(4, 8, 2, bottleneck, rng);
  block.to(Dtype::f64);
  block.train(training);
  const Tensor x = Tensor::normal({2, 5, 5, 4}, 0, 1, rng).to(Dtype::f64);
  CHECK(test::module_gradcheck(block, [&] { return block.forward({x, {}, 0}).data; }) == "");
}

TEST_CASE("an ImageNet ResNet learns eight images by heart") {
  ResNetImageNet net(18, {.classes = 8, .width = 0.125, .seed = 3});
  const Tensor x = images(8, 9);
  const Tensor labels = Tensor::from<int64_t>({0, 1, 2, 3, 4, 5, 6, 7}, {8});
  nn::Sgd optimizer({{.parameters = net.named_parameters()}}, {.momentum = 0.9});
  double loss = 0;
  for (int step = 0; step < 30; ++step) {
    optimizer.zero_grad();
    const Tensor l = cross_entropy(net.forward(x), labels);
    l.backward();
    optimizer.step(0.02);
    loss = l.item();
  }
  CHECK(loss < 0.05);
  NoGrad no_grad;
  CHECK(argmax(net.forward(x), 1).to_vector<int64_t>() == labels.to_vector<int64_t>());
}

TEST_CASE("depths other than 18, 34 and 50 and widths without channels are refused") {
  for (int64_t depth : {0, 20, 101}) CHECK_THROWS_AS(ResNetImageNet(depth, {}), ConfigError);
  CHECK_THROWS_AS(ResNetImageNet(18, {.width = 0}), ConfigError);
}
