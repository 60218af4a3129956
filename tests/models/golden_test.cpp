#include <catch2/catch.hpp>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/state.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/models/resnet_cifar.h>
#include <apprentice/nn/optimizer.h>

using namespace apprentice;

namespace {

/// The folder that holds golden values and teachers beside the project, or nothing where it is
/// absent.
std::optional<std::string> shared(const char* variable, const std::string& below,
                                  const std::string& file) {
  const char* set = std::getenv(variable);
  const std::string folder = set ? set : APPRENTICE_SOURCE_DIR "/../shared" + below;
  if (std::filesystem::exists(folder + file)) return folder + file;
  [[maybe_unused]] static const int told = std::fputs("skipped: no ../shared\n", stderr);
  return std::nullopt;
}

std::optional<State> golden(const std::string& name) {
  const auto path = shared("APPRENTICE_GOLDEN", "/golden", "/" + name + ".safetensors");
  return path ? std::optional(load_state(*path)) : std::nullopt;
}

/// A published network, or nothing where it is absent.
std::shared_ptr<ResNetCifar> published(const std::string& name) {
  const auto path = shared("APPRENTICE_DATA", "", "/models/cifar10/" + name + ".safetensors");
  if (!path) return nullptr;
  const State state = load_state(*path);
  auto net = std::dynamic_pointer_cast<ResNetCifar>(make_model(state.metadata.at("arch")));
  net->load_state_dict(state.tensors);
  return net;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double largest = 0;
  for (size_t i = 0; i < x.size(); ++i) largest = std::max(largest, std::abs(x[i] - y[i]));
  return largest;
}

/// |a - b| / |b|
double relative_l2(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  double difference = 0, size = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    difference += (x[i] - y[i]) * (x[i] - y[i]);
    size += y[i] * y[i];
  }
  return std::sqrt(difference / size);
}

void check_gradients(const ResNetCifar& net, const State& expected) {
  for (const auto& [name, parameter] : net.named_parameters()) {
    CAPTURE(name);
    CHECK(relative_l2(parameter.grad(), expected.tensors.at("grad." + name)) <= 5e-3);
  }
}

}  // namespace

// Tolerances are those that f32 arithmetic itself needs, as the golden files' own notes measure
// them between f32 and f64: logits 1.2e-5, gradients 1.9e-3 (a ReLU or two flips its sign),
// parameters 2.1e-5, loss of the second step 5.5e-4. Images lie there as [n, c, h, w]; reading
// permutes them.

TEST_CASE("the published networks give the golden logits and features") {
  const std::string name =
      GENERATE("resnet20", "resnet32", "resnet44", "resnet56", "resnet20_jpeg", "resnet56_jpeg");
  const auto net = published(name);
  const auto expected = golden(name + "_logits");
  if (!net || !expected) return;
  net->eval();
  NoGrad no_grad;
  const Tensor& x = expected->tensors.at("input");
  CAPTURE(name);
  CHECK(largest_difference(net->features(x), expected->tensors.at("features")) <= 1e-4);
  CHECK(largest_difference(net->forward(x), expected->tensors.at("logits_fp64")) <= 1e-4);
}

namespace {

/// Kernels of this family wherever they do.
struct Family {
  explicit Family(const std::string& family) { kernels::default_preference().family = family; }
  ~Family() { kernels::default_preference().family.clear(); }
};

/// How many times as large the errors of Winograd's convolution are as those of the direct one, as
/// root mean squares against f64: what a forward's rounding grows by, to first order.
double winograd_growth() {
  Rng rng(1, RngPurpose::test);
  double growth = 1;
  for (const int64_t c : {32, 64}) {
    const Tensor x = relu(Tensor::normal({4, 16, 16, c}, 0, 1, rng));
    const Tensor w = Tensor::normal({c, 3, 3, c}, 0, 1, rng);
    const Conv2dOptions direct{.padding = {1, 1}}, any{.padding = {1, 1}, .exact = false};
    const Tensor exact = conv2d(x.to(Dtype::f64), w.to(Dtype::f64), {}, direct);
    const double error = relative_l2(conv2d(x, w, {}, direct), exact);
    growth = std::max(growth, relative_l2(conv2d(x, w, {}, any), exact) / error);
  }
  return growth;
}

}  // namespace

// 1e-6 holds for direct convolutions; Winograd's errors, which enter the loss alike, may move it as
// much further as they are larger.
TEST_CASE("two training steps of ResNet-20 match the golden ones") {
  const bool direct = GENERATE(true, false);
  const Family family(direct ? "onednn" : "");
  const double allowed = 1e-6 * (direct ? 1 : winograd_growth());
  CAPTURE(direct, allowed);
  const auto net = published("resnet20");
  const auto expected = golden("resnet20_step");
  if (!net || !expected) return;
  const auto& golden = expected->tensors;
  nn::Sgd optimizer({{.parameters = net->named_parameters(), .weight_decay = 1e-4}},
                    {.momentum = 0.9});
  const auto step = [&] {
    optimizer.zero_grad();
    const Tensor logits = net->forward(golden.at("input"));
    const Tensor loss = cross_entropy(logits, golden.at("labels"));
    loss.backward();
    return std::pair(logits, loss.item());
  };
  const auto [logits, loss] = step();
  CHECK(largest_difference(logits, golden.at("step1.logits")) <= 1e-4);
  CHECK(loss == Approx(golden.at("step1.loss").item()).epsilon(allowed));
  check_gradients(*net, *expected);
  optimizer.step(0.1);
  for (const auto& [name, tensor] : net->state_dict()) {
    CAPTURE(name);
    CHECK(relative_l2(tensor, golden.at("after1." + name)) <= 1e-4);
  }
  CHECK(step().second == Approx(golden.at("step2.loss").item()).epsilon(3e-3));
}

TEST_CASE("a distillation step of ResNet-20 against ResNet-56 matches the golden one") {
  const auto student = published("resnet20"), teacher = published("resnet56");
  const auto expected = golden("resnet20_kd_step");
  if (!student || !teacher || !expected) return;
  const auto& golden = expected->tensors;
  teacher->eval();
  teacher->set_requires_grad(false);
  const Tensor targets = teacher->forward(golden.at("input"));
  CHECK(largest_difference(targets, golden.at("teacher_logits")) <= 1e-4);
  const Tensor logits = student->forward(golden.at("input"));
  const Tensor ce = cross_entropy(logits, golden.at("labels"));
  const Tensor kd = kl_divergence(logits, targets, 4) * 16.0;
  const Tensor loss = ce * 0.3 + kd * 0.7;
  loss.backward();
  CHECK(ce.item() == Approx(golden.at("ce").item()).epsilon(1e-5));
  CHECK(kd.item() == Approx(golden.at("kd").item()).epsilon(1e-5));
  CHECK(loss.item() == Approx(golden.at("loss").item()).epsilon(1e-5));
  check_gradients(*student, *expected);
}
