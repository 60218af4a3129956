#include <catch2/catch.hpp>

#include <cmath>
#include <set>
#include <utility>

#include <omp.h>

#include <apprentice/base/cpu.h>
#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/safetensors.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/state.h>
#include <apprentice/nn/linear.h>
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

quant::BatchSource once(const Tensor& x) {
  return [x, given = false]() mutable { return std::exchange(given, true) ? Tensor() : x; };
}

/// Pixels a side: enough for every stage to have borders and inside.
constexpr int64_t kSize = 16;

/// A quantized network and where it is packed.
struct Problem {
  explicit Problem(const Policy& chosen, const std::string& arch = "resnet8")
      : policy(chosen), model(quantized_network(arch, chosen)), info{arch, chosen, {}} {}

  void pack() { quant::pack(*model, info, path, {.height = kSize, .width = kSize}); }
  quant::VerifyReport verify(const std::string& kernel = "", int64_t images = 5) {
    return quant::verify(*model, path, once(random_images(images, 21, kSize)),
                         {.kernel = kernel, .require_kernel = !kernel.empty()});
  }

  Policy policy;
  std::shared_ptr<nn::TensorModule> model;
  quant::ModelInfo info;
  TempFolder folder;
  std::string path = folder / "packed.safetensors";
};

/// Has this processor the instructions of a family?
bool runs_here(const std::string& family) {
  if (family == "avx2") return cpu_features().avx2;
  if (family == "vnni") return cpu_features().avx512_vnni;
  return true;
}

/// Runs fn with so many threads.
template <class Fn>
void with_threads(int threads, Fn&& fn) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  fn();
  omp_set_num_threads(before);
}

/// Writes the file again with one byte of one tensor changed.
void damage(const std::string& path, const std::string& tensor, size_t byte, int change) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  std::vector<std::vector<std::byte>> kept;
  std::vector<TensorBytes> entries;
  for (const TensorInfo& each : file.tensors()) {
    kept.emplace_back(each.data.begin(), each.data.end());
    if (each.name == tensor) kept.back().at(byte) ^= std::byte(change);
  }
  size_t next = 0;
  for (const TensorInfo& each : file.tensors())
    entries.push_back({each.name, each.dtype, each.shape, kept[next++]});
  write_safetensors(path, entries, file.metadata());
}

std::vector<Policy> packed_policies() {
  std::vector<Policy> all;
  for (int a_bits : {8, 7, 6, 4}) {
    all.push_back(make_policy("twn", 2, "wrpn", a_bits));
    all.push_back(make_policy("ttq", 2, "wrpn", a_bits));
    all.push_back(make_policy("wrpn", 4, "wrpn", a_bits));
  }
  all.push_back(make_policy("twn", 2, "wrpn", 8));
  all.back().layer.per_channel = true;
  all.push_back(make_policy("wrpn", 3, "wrpn", 5));
  return all;
}

}  // namespace

TEST_CASE(
    "packed networks: all integers and logits equal the model's, for all kernels and threads") {
  for (const Policy& policy : packed_policies()) {
    CAPTURE(quant::summary(policy), policy.layer.per_channel);
    Problem problem(policy);
    problem.pack();
    for (const char* kernel : {"reference", "avx2", "vnni"})
      for (int threads : {1, 2})
        with_threads(threads, [&] {
          CAPTURE(kernel, threads);
          if (!runs_here(kernel)) return;
          const quant::VerifyReport report = problem.verify(kernel);
          CHECK(report.difference == "");
          CHECK(report.max_logit_error == 0);
          CHECK(report.equal_predictions == 5);
          CHECK(report.passed);
          CHECK(report.layers == 7);
          // Accumulators and codes (TTQ: of both signs) of 6 layers, sums and codes of the stem.
          const int64_t pixels = kSize * kSize;
          const int64_t outputs = 5 * pixels * (2 * 16 + 2 * 8 + 2 * 4);
          const int64_t each = policy.layer.weights == "ttq" ? 3 : 2;
          CHECK(report.integers == each * outputs + 2 * 5 * pixels * 16);
        });
  }
}

TEST_CASE("packed networks: accumulators are not all the same number") {
  // Guards the test above against a network that is dead.
  Problem problem(make_policy("twn", 2, "wrpn", 8));
  NoGrad no_grad;
  for (const quant::Layer& layer : quant::layers(*problem.model)) {
    if (!layer.fused) continue;
    layer.fused->set_observer([layer](const nn::Observation& seen) {
      const auto codes = seen.y.data.to_vector<float>();
      const std::set<float> different(codes.begin(), codes.end());
      CAPTURE(layer.name);
      CHECK(different.size() > 50);
    });
  }
  problem.model->forward(random_images(2, 3, kSize));
}

TEST_CASE("packed networks: batches of one and of many give the same report") {
  Problem problem(make_policy("ttq", 2, "wrpn", 8));
  problem.pack();
  CHECK(problem.verify("", 1).passed);
  const auto report = problem.verify("", 70);
  CHECK(report.passed);
  CHECK(report.images == 70);
}

TEST_CASE("verify names layer, index and both values where one code was damaged") {
  for (const char* weights : {"twn", "ttq", "wrpn"}) {
    CAPTURE(weights);
    const int bits = weights == std::string("wrpn") ? 4 : 2;
    Problem problem(make_policy(weights, bits, "wrpn", 8));
    problem.pack();
    // The lowest code of some byte that is not 0 changes its sign or size, and stays valid.
    const auto bytes =
        SafetensorsFile::open(problem.path).get("layer2.0.conv1.weight_packed").values<uint8_t>();
    size_t at = 40;
    while ((bytes[at] & 3) == 0) ++at;
    damage(problem.path, "layer2.0.conv1.weight_packed", at, 2);
    const auto report = problem.verify();
    CHECK_FALSE(report.passed);
    CHECK(report.layer == "layer2.0.conv1");
    CHECK(report.difference.find("layer2.0.conv1: ") == 0);
    CHECK(report.difference.find("accumulator [0, ") != std::string::npos);
    CHECK(report.difference.find(", expected ") != std::string::npos);
    CHECK(report.images == 5);
  }
}

TEST_CASE(
    "verify names the layer whose epilogue constant, and the logit whose weight was damaged") {
  Problem problem(make_policy("twn", 2, "wrpn", 8));
  problem.pack();
  damage(problem.path, "layer3.0.conv2.a", 2, 0x40);
  auto report = problem.verify();
  CHECK_FALSE(report.passed);
  CHECK(report.layer == "layer3.0.conv2");
  CHECK(report.difference.find("code [") != std::string::npos);

  problem.pack();
  damage(problem.path, "linear.weight", 1, 0x40);
  report = problem.verify();
  CHECK_FALSE(report.passed);
  CHECK(report.layer == "linear");
  CHECK(report.difference.find("logit [0, 0]") != std::string::npos);
  CHECK(report.max_logit_error > 0);
}

TEST_CASE("packed ternary resnet20 takes at most 92,160 bytes, and 13 times less than f32") {
  for (const char* weights : {"twn", "ttq"}) {
    CAPTURE(weights);
    Problem problem(make_policy(weights, 2, "wrpn", 8), "resnet20");
    problem.pack();
    const auto size = quant::size_report(problem.path);
    CHECK(size.file_bytes <= 92160);
    CHECK(size.f32_bytes == 4 * (269722 + 2 * 688));
    CHECK(size.compression > 13);
    CHECK(problem.verify("", 2).passed);
  }
  Problem weights_only(make_policy("twn", 2), "resnet20");
  weights_only.pack();
  const auto smaller = quant::size_report(weights_only.path);
  CHECK(smaller.file_bytes <= 92160);
  CHECK(smaller.f32_bytes == 4 * (269722 + 2 * 688));
}

TEST_CASE("size report: bits a weight of each layer, in the order of the network") {
  Problem problem(make_policy("twn", 2, "wrpn", 8));
  problem.pack();
  const auto size = quant::size_report(problem.path);
  REQUIRE(size.layers.size() == 8);
  CHECK(size.layers.front().name == "conv1");
  CHECK(size.layers.front().type == "f32");
  CHECK(size.layers[1].name == "layer1.0.conv1");
  CHECK(size.layers[1].type == "ternary");
  CHECK(size.layers[1].weights == 16 * 16 * 9);
  // 2 bits a code, one scale, two constants a channel.
  CHECK(size.layers[1].bytes == 16 * 36 + 4 + 2 * 4 * 16);
  CHECK(size.layers.back().name == "linear");
  CHECK(size.data_bytes < size.file_bytes);

  const std::string model = problem.folder / "model.safetensors";
  quant::save_model(model, *problem.model, problem.info);
  const auto f32 = quant::size_report(model);
  CHECK(f32.f32_bytes == size.f32_bytes);
  CHECK(f32.compression == Approx(1).epsilon(1e-3));
}

TEST_CASE("pack: a network that is not quantized throughout is an error that names the layer") {
  const auto refused = [](const Policy& policy, const auto&... parts) {
    Problem problem(policy);
    const std::string result = throws<ConfigError>([&] { problem.pack(); }, parts...);
    CHECK(problem.folder.names().empty());
    return result;
  };
  Policy kept = make_policy("twn", 2, "wrpn", 8);
  kept.keep.push_back("layer2.0.conv1");
  CHECK(refused(kept, "layer2.0.conv1", "quantized weight") == "");
  Policy real = make_policy("twn", 2, "wrpn", 8);
  real.overrides = {{"layer1.0.conv2", "", "none", 0, 0}};
  CHECK(refused(real, "layer1.0.conv2", "f32") == "");
  Policy stem = make_policy("twn", 2, "wrpn", 8);
  stem.keep = {"linear"};
  CHECK(refused(stem, "conv1", "must stay f32") == "");
  Policy head = make_policy("twn", 2, "wrpn", 8);
  head.keep = {"conv1"};
  CHECK(refused(head, "linear", "must stay f32") == "");
  CHECK(refused(make_policy("none", 2, "wrpn", 8), "no weight") == "");
}

TEST_CASE("pack: a weight that is not finite is never written") {
  for (const char* activations : {"none", "wrpn"}) {
    Problem problem(make_policy("twn", 2, activations, 8));
    quant::layers(*problem.model)[3].module->parameter("weight").fill(INFINITY);
    CHECK(throws<CheckFailed>([&] { problem.pack(); }, "layer2.0.conv1.weight", "finite") == "");
    CHECK(problem.folder.names().empty());
  }
}

TEST_CASE("pack: a batch norm that gives no finite constants is never written") {
  for (const char* parameter : {"weight", "bias"}) {
    Problem problem(make_policy("twn", 2, "wrpn", 8));
    quant::layers(*problem.model)[3].fused->bn().parameter(parameter).fill(INFINITY);
    CHECK(throws<CheckFailed>([&] { problem.pack(); }, "layer2.0.conv1.", "finite") == "");
    CHECK(problem.folder.names().empty());
  }
}

TEST_CASE("pack: layers with bits of their own are packed and verified") {
  Policy policy = make_policy("twn", 2, "wrpn", 8);
  policy.overrides = {{"layer2.*", "wrpn", "", 4, 4}, {"layer3.0.conv2", "ttq", "", 0, 5}};
  Problem problem(policy);
  problem.pack();
  CHECK(problem.verify().difference == "");
  CHECK(problem.verify("reference").passed);
}

TEST_CASE("packed weights alone: codes and scales are exact, logits within 1e-4") {
  for (const auto& policy :
       {make_policy("twn", 2), make_policy("ttq", 2), make_policy("wrpn", 4)}) {
    CAPTURE(quant::summary(policy));
    Problem problem(policy);
    problem.pack();
    CHECK(quant::file_kind(problem.path) == quant::FileKind::packed_weights);
    const auto report = problem.verify();
    CHECK(report.difference == "");
    CHECK(report.passed);
    CHECK(report.weights_only);
    CHECK(report.layers == 6);

    const auto decoded = quant::load_model(
        problem.path, [](const std::string& arch, int64_t) { return make_model(arch); });
    CHECK(decoded.kind == quant::FileKind::packed_weights);
    NoGrad no_grad;
    const Tensor x = random_images(3, 4, kSize);
    CHECK(max_difference(decoded.model->forward(x), problem.model->forward(x)) <= 1e-4);
    CHECK(throws<ConfigError>([&] { packed::PackedNetwork::load(problem.path); }) == "");
  }
}

TEST_CASE("packed weights alone: verify names the layer of a damaged code, scale or other tensor") {
  Problem problem(make_policy("ttq", 2));
  const auto found = [&](const std::string& tensor, size_t byte, int change) {
    problem.pack();
    damage(problem.path, tensor, byte, change);
    const auto report = problem.verify();
    CHECK_FALSE(report.passed);
    return report.difference;
  };
  problem.pack();
  const auto bytes =
      SafetensorsFile::open(problem.path).get("layer1.0.conv2.weight_packed").values<uint8_t>();
  size_t at = 0;
  while ((bytes[at] & 3) == 0) ++at;
  CHECK(found("layer1.0.conv2.weight_packed", at, 2).find("layer1.0.conv2: code ") == 0);
  CHECK(found("layer3.0.conv1.weight_scale", 0, 1).find("layer3.0.conv1: scale 0 is") == 0);
  CHECK(found("layer3.0.conv1.weight_scale_neg", 0, 1).find("layer3.0.conv1: negative scale") == 0);
  CHECK(found("linear.bias", 0, 1).find("linear: linear.bias 0 is") == 0);

  problem.pack();
  State state = load_state(problem.path);
  state.tensors.erase("linear.bias");
  save_state(problem.path, state);
  CHECK(throws<ConfigError>([&] { problem.verify(); }, "'linear.bias' is in the model only") == "");
}

TEST_CASE("packed weights alone: verify leaves the model as it was") {
  Problem problem(make_policy("ttq", 2));
  problem.pack();
  NoGrad no_grad;
  const Tensor x = random_images(3, 4, kSize);
  const std::vector<float> before = problem.model->forward(x).to_vector<float>();
  CHECK(problem.verify("reference").passed);
  CHECK(problem.model->forward(x).to_vector<float>() == before);
}

TEST_CASE("packed weights alone: an invalid code is a damaged file, named by tensor") {
  Problem problem(make_policy("twn", 2));
  problem.pack();
  // Both bits of -2: 10. One of the four codes of a byte becomes it.
  const auto bytes =
      SafetensorsFile::open(problem.path).get("layer1.0.conv1.weight_packed").values<uint8_t>();
  damage(problem.path, "layer1.0.conv1.weight_packed", 7, (bytes[7] & 3) ^ 2);
  CHECK(throws<DamagedFile>([&] { quant::unpack_weights(problem.path); },
                            "layer1.0.conv1.weight_packed") == "");
}
