#include <catch2/catch.hpp>

#include <utility>

#include <apprentice/packed/packed_network.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/pack.h>
#include <apprentice/quant/verify.h>

#include <device/test_device.h>
#include <quant/quant_problems.h>
#include <support/temp_folder.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

/// What verify finds when the packed network runs on the device.
quant::VerifyReport verify(const std::string& arch, const quant::Policy& policy, int64_t side,
                           int64_t images, double width = 1) {
  const auto model = quantized_network(arch, policy, 1, width);
  const TempFolder folder;
  const std::string path = folder / "packed.safetensors";
  quant::pack(*model, {arch, policy, {}}, path, {.height = side, .width = side});
  const Tensor x = random_images(images, 21, side);
  const auto once = [x, given = false]() mutable {
    return std::exchange(given, true) ? Tensor() : x;
  };
  return quant::verify(*model, path, once, {.kernel = "", .device = test_device()});
}

}  // namespace

TEST_CASE("a packed network on a device equals the fake-quantized one: CIFAR, all widths") {
  struct Case {
    const char* weights;
    int w_bits, a_bits;
  };
  for (const auto& [weights, w_bits, a_bits] :
       {Case{"twn", 2, 8}, {"twn", 2, 6}, {"ttq", 2, 8}, {"wrpn", 4, 8}, {"wrpn", 4, 4}}) {
    CAPTURE(weights, w_bits, a_bits);
    const auto report = verify("resnet8", make_policy(weights, w_bits, "wrpn", a_bits), 16, 2);
    CHECK(report.difference == "");
    CHECK(report.max_logit_error == 0);
    CHECK(report.passed);
    CHECK(report.layers == 7);
  }
}

TEST_CASE("a packed network on a device equals the fake-quantized one: projections, max pooling") {
  for (const std::string arch : {"resnet18", "resnet50"}) {
    quant::Policy policy = make_policy("twn", 2, "wrpn", 8);
    policy.keep = {"conv1", "fc"};
    CAPTURE(arch);
    const auto report = verify(arch, policy, 45, 1, 0.25);
    CHECK(report.difference == "");
    CHECK(report.max_logit_error == 0);
    CHECK(report.passed);
  }
}

TEST_CASE("weights packed alone have no network to verify on a device") {
  CHECK(throws<ConfigError>([] { verify("resnet8", make_policy("twn", 2), 16, 1); },
                            "only the weights are packed", test_device().str()) == "");
}
