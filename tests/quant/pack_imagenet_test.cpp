#include <catch2/catch.hpp>

#include <set>
#include <utility>

#include <omp.h>

#include <apprentice/base/error.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/nn/optimizer.h>
#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/report.h>
#include <apprentice/quant/verify.h>
#include <quant/quant_problems.h>
#include <support/temp_folder.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;
using quant::Policy;

namespace {

/// Pixels a side: odd, and enough for the last stage to have more than one.
constexpr int64_t kSize = 45;

Policy imagenet_policy(const std::string& weights, int w_bits, int a_bits) {
  Policy policy = make_policy(weights, w_bits, "wrpn", a_bits);
  policy.keep = {"conv1", "fc"};
  return policy;
}

/// A narrow ImageNet ResNet with quantizers, and where it is packed.
struct Problem {
  Problem(const std::string& arch, const Policy& chosen, double width = 0.25)
      : policy(chosen), model(quantized_network(arch, chosen, 1, width)), info{arch, chosen, {}} {}

  void pack() { quant::pack(*model, info, path, {.height = kSize, .width = kSize}); }
  quant::VerifyReport verify(const std::string& kernel = "", int64_t images = 3) {
    const Tensor x = random_images(images, 21, kSize);
    const auto once = [x, given = false]() mutable {
      return std::exchange(given, true) ? Tensor() : x;
    };
    return quant::verify(*model, path, once, {.kernel = kernel, .require_kernel = !kernel.empty()});
  }
  /// The layer of that name in the packed file.
  packed::Layer packed_layer(const std::string& name) const {
    const auto network = packed::PackedNetwork::load(path);
    for (const packed::Layer& layer : network.description().layers)
      if (layer.name == name) return layer;
    FAIL("no layer " << name);
    return {};
  }

  Policy policy;
  std::shared_ptr<nn::TensorModule> model;
  quant::ModelInfo info;
  TempFolder folder;
  std::string path = folder / "packed.safetensors";
};

/// verify() of every kernel family that this processor has, with one and two threads.
void check_all_kernels(Problem& problem, int64_t layers) {
  const int before = omp_get_max_threads();
  for (const char* kernel : {"reference", "avx2", "vnni"})
    for (int threads : {1, 2}) {
      CAPTURE(kernel, threads);
      omp_set_num_threads(threads);
      quant::VerifyReport report;
      try {
        report = problem.verify(kernel);
      } catch (const DeviceError&) {
        continue;
      }
      CHECK(report.difference == "");
      CHECK(report.max_logit_error == 0);
      CHECK(report.passed);
      CHECK(report.layers == layers);
    }
  omp_set_num_threads(before);
}

}  // namespace

TEST_CASE("packed ResNet-18: all integers and logits equal the model's, for every policy") {
  const Policy policy = GENERATE(imagenet_policy("twn", 2, 8), imagenet_policy("ttq", 2, 7),
                                 imagenet_policy("wrpn", 4, 6), imagenet_policy("twn", 2, 4));
  CAPTURE(quant::summary(policy));
  Problem problem("resnet18", policy);
  problem.pack();
  check_all_kernels(problem, 21);  // 20 convolutions and the max pooling
}

TEST_CASE("packed ResNet-34 and ResNet-50: all integers and logits equal the model's") {
  const auto [arch, layers] =
      GENERATE(table<const char*, int64_t>({{"resnet34", 37}, {"resnet50", 54}}));
  CAPTURE(arch);
  Problem problem(arch, imagenet_policy("twn", 2, 8), 0.125);
  problem.pack();
  check_all_kernels(problem, layers);
}

TEST_CASE("packed ResNet-18: projections use their whole signed range, other codes theirs") {
  Problem problem("resnet18", imagenet_policy("twn", 2, 6));
  problem.pack();
  CHECK(problem.packed_layer("layer1.0.conv1").max_code == 63);
  CHECK(problem.packed_layer("layer2.0.downsample.0").max_code == 255);
  CHECK(problem.packed_layer("layer2.0.downsample.0").zero_point == 128);
  CHECK(problem.packed_layer("maxpool").op == "max_pool");
  NoGrad no_grad;
  for (const quant::Layer& layer : quant::layers(*problem.model)) {
    if (!layer.fused) continue;
    const bool projection = layer.name.find("downsample") != std::string::npos;
    layer.fused->set_observer([layer, projection](const nn::Observation& seen) {
      const auto codes = seen.y.data.to_vector<float>();
      const std::set<float> different(codes.begin(), codes.end());
      CAPTURE(layer.name);
      CHECK(different.size() > (projection ? 100 : 30));
      if (projection) CHECK(*different.begin() < 64);
    });
  }
  problem.model->forward(random_images(2, 3, kSize));
}

TEST_CASE("a quantized ResNet-18 learns four images by heart, and packs to what it has learnt") {
  Problem problem("resnet18", imagenet_policy("twn", 2, 6), 0.125);
  const Tensor x = random_images(4, 9, kSize);
  const Tensor labels = Tensor::from<int64_t>({0, 1, 2, 3}, {4});
  problem.model->train();
  nn::Sgd optimizer({{.parameters = problem.model->named_parameters()}}, {.momentum = 0.9});
  const Tensor before = problem.model->state_dict().at("layer2.0.downsample.0.weight").clone();
  double loss = 0;
  for (int step = 0; step < 20; ++step) {
    optimizer.zero_grad();
    const Tensor l = cross_entropy(problem.model->forward(x), labels);
    l.backward();
    optimizer.step(0.02);
    loss = l.item();
  }
  CHECK(loss < 0.1);
  CHECK(max_difference(problem.model->state_dict().at("layer2.0.downsample.0.weight"), before) > 0);
  problem.pack();
  CHECK(problem.verify().difference == "");
}

TEST_CASE("packed ResNet-18: a quantized model that was saved and loaded packs to the same file") {
  Problem problem("resnet18", imagenet_policy("twn", 2, 8));
  problem.pack();
  const std::string saved = problem.folder / "model.safetensors";
  quant::save_model(saved, *problem.model, problem.info);
  const auto loaded = quant::load_model(saved, [](const std::string& arch, int64_t classes) {
    return make_model(arch, {.classes = classes, .width = 0.25});
  });
  const std::string again = problem.folder / "again.safetensors";
  quant::pack(*loaded.model, loaded.info, again, {.height = kSize, .width = kSize});
  CHECK(SafetensorsFile::open(again).metadata() == SafetensorsFile::open(problem.path).metadata());
  CHECK(quant::size_report(again).file_bytes == quant::size_report(problem.path).file_bytes);
}

TEST_CASE("32A ResNet-18: packed weights decode to the same network, projections included") {
  Policy policy = make_policy("twn", 2);
  policy.keep = {"conv1", "fc"};
  Problem problem("resnet18", policy);
  problem.pack();
  const auto report = problem.verify();
  CHECK(report.difference == "");
  CHECK(report.weights_only);
  CHECK(report.layers == 19);
}

TEST_CASE("a quantizer for outputs of at least 0 is refused where a layer has no ReLU") {
  quant::activation_quantizers().add(
      "one_sided", {.bits = {8}, .make = quant::activation_quantizers().get("wrpn").make});
  Policy policy = make_policy("twn", 2, "one_sided", 8);
  policy.keep = {"conv1", "fc"};
  auto model = random_network("resnet18", 1, 0.125);
  CHECK(throws<ConfigError>([&] { quant::prepare(*model, policy); }, "layer2.0.downsample.0",
                            "no ReLU", "one_sided") == "");
}
