#include <catch2/catch.hpp>

#include <filesystem>

#include <apprentice/base/files.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/nn/eval_mode.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/prepare.h>
#include <apprentice/quant/trace_internal.h>

#include <device/test_device.h>
#include <distill/tiny.h>
#include <support/temp_folder.h>

using namespace apprentice;

namespace {

/// A calibrated network whose batch norms have seen a batch.
std::shared_ptr<nn::TensorModule> calibrated(const std::string& arch, const std::string& weights,
                                             int w_bits, int a_bits, const Tensor& x) {
  auto network = test::narrow()(arch, 10, 5);
  {
    NoGrad no_grad;
    network->train();
    network->forward(x);
  }
  quant::Policy policy;
  policy.layer = {.weights = weights, .w_bits = w_bits, .activations = "wrpn", .a_bits = a_bits};
  if (arch != "resnet8") policy.keep = {"conv1", "fc"};
  quant::prepare(*network, policy);
  quant::calibrate(*network, {x});
  return network;
}

/// Are both undefined, or equal in shape and all bits?
bool same(const Tensor& got, const Tensor& expected) {
  if (!got.defined() || !expected.defined()) return got.defined() == expected.defined();
  return test::same_bits(got.to(Device{}), expected.to(Device{}));
}

void check_same_integers(const std::string& arch, const std::string& weights, int w_bits,
                         int a_bits, const Tensor& x) {
  CAPTURE(arch, weights, w_bits, a_bits);
  const auto network = calibrated(arch, weights, w_bits, a_bits, x);
  const quant::TracedForward expected = quant::traced_forward(*network, x);
  network->to(test_device());
  const quant::TracedForward got = quant::traced_forward(*network, x.to(test_device()));
  REQUIRE(got.layers.size() == expected.layers.size());
  for (size_t i = 0; i < got.layers.size(); ++i) {
    const nn::Observation &g = got.layers[i].seen, &e = expected.layers[i].seen;
    CAPTURE(expected.layers[i].layer.name);
    CHECK(g.y.data.device() == test_device());
    CHECK(same(g.sums, e.sums));
    CHECK(same(g.sums_negative, e.sums_negative));
    CHECK(same(g.y.data, e.y.data));
    CHECK(same(g.a, e.a));
    CHECK(same(g.b, e.b));
    CHECK(g.r == e.r);
  }
  CHECK(same(got.logits, expected.logits));
}

}  // namespace

TEST_CASE("a quantized network on a device has the CPU's sums, codes and logits, bit for bit") {
  const Tensor x = test::colours_batch(3).x;
  check_same_integers("resnet8", "twn", 2, 8, x);
  check_same_integers("resnet8", "ttq", 2, 8, x);
  check_same_integers("resnet8", "wrpn", 4, 4, x);
}

TEST_CASE("so has one with projections, whose codes have both signs") {
  check_same_integers("resnet18", "twn", 2, 8, test::colours_batch(2).x);
}

TEST_CASE("evaluating on a device counts as the CPU does, and packing from there gives its bytes") {
  const auto set = test::colours("test", 10);
  const Tensor x = test::colours_batch(4).x;
  const auto network = calibrated("resnet8", "ttq", 2, 8, x);
  distill::EvaluateOptions by_four;
  by_four.batch = 4;
  const auto expected = distill::evaluate(*network, *set, by_four);
  const test::TempFolder folder;
  const quant::ModelInfo info{.arch = "resnet8 width 0.25", .policy = {}, .metadata = {}};
  const quant::PackOptions options{.height = 16, .width = 16};
  quant::pack(*network, info, folder / "cpu", options);
  network->to(test_device());
  const auto got = distill::evaluate(*network, *set, by_four);
  CHECK(got.correct == expected.correct);
  CHECK(got.images == expected.images);
  CHECK(got.loss == Approx(expected.loss).epsilon(1e-6));
  quant::pack(*network, info, folder / "device", options);
  CHECK(network->device() == test_device());
  CHECK(read_file(folder / "device") == read_file(folder / "cpu"));
}

TEST_CASE("an evaluation waits for its device in the first forward only, and notices what changes",
          "[emulated]") {
  const Tensor x = test::colours_batch(2).x, there = x.to(test_device());
  const auto network = calibrated("resnet8", "ttq", 2, 8, x);
  const auto same_network = calibrated("resnet8", "ttq", 2, 8, x);
  network->to(test_device());
  const nn::EvalMode eval(*network), same_eval(*same_network);
  const NoGrad no_grad;
  const Tensor first = network->forward(there);
  const int64_t waits = emulated_waits();
  const Tensor second = network->forward(there);
  CHECK(emulated_waits() == waits);
  CHECK(same(second, first));

  Tensor before = first;
  const auto check_noticed = [&](const char* name) {
    CAPTURE(name);
    const Tensor now = network->forward(there);
    CHECK_FALSE(same(now, before));
    CHECK(same(now, same_network->forward(x)));
    before = now;
  };
  for (const char* name : {"layer2.0.conv1.act_scale", "layer2.0.conv2.weight_scale",
                           "layer3.0.bn2.running_var", "layer1.0.bn1.weight"}) {
    for (const auto& each : {network, same_network}) {
      Tensor tensor = each->state_dict().at(name);
      tensor.copy_from((tensor * 3.0).detach());
    }
    check_noticed(name);
  }
  const char* moved = "layer3.0.conv1.weight";
  network->to(Device{});
  for (const auto& each : {network, same_network}) {
    Tensor weight = each->state_dict().at(moved);
    weight.copy_from(-weight.clone());
  }
  network->to(test_device());
  check_noticed(moved);
}
