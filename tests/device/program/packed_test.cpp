#include <algorithm>

#include <catch2/catch.hpp>

#include <tools/program.h>

using namespace apprentice::test;
using Catch::Matchers::Contains;

namespace {

/// A small ternary network, trained for two steps and packed, once for all cases of this file.
struct Packed {
  ScratchFolder folder;
  std::string model = folder / "run/checkpoints/last", file = folder / "packed.safetensors";
  Called training, packing;

  Packed() {
    write_text(folder / "tiny.toml", R"(
[model]
arch = "resnet8"
[data]
name = "shapes10:64"
test_images = 20
[quant]
weights = "twn"
activations = "wrpn"
calibration_images = 32
[train]
epochs = 1
batch = 32
workers = 0
)");
    training = call("train " + (folder / "tiny.toml") + " --output " + (folder / "run"));
    packing = call("pack " + model + " " + file);
  }
};

Packed& packed() {
  static Packed one;
  return one;
}

}  // namespace

TEST_CASE("eval of a packed network on a device gives the CPU's logits, bit for bit") {
  Packed& p = packed();
  INFO(p.training.err << p.packing.err);
  REQUIRE(p.packing.code == 0);
  const auto logits = [&p](const std::string& device) {
    const std::string to = p.folder / ("logits." + device);
    const Called called =
        call("eval " + p.file + " --data shapes10 --images 5 --batch 3 --device " + device +
             " --save-logits " + to);
    INFO(called.err);
    CHECK(called.code == 0);
    return read_text(to);
  };
  const std::string expected = logits("cpu");
  CHECK(bool(logits("emulated") == expected));
  CHECK(expected.size() > 5 * 10 * 4);
}

TEST_CASE("verify compares a packed network on a device with the fake-quantized one") {
  Packed& p = packed();
  const Called verify = call("verify " + p.model + " " + p.file +
                             " --data shapes10 --images 2 --device emulated --json");
  INFO(verify.err << verify.out);
  REQUIRE(verify.code == 0);
  CHECK(verify.json()["max_logit_error"] == 0);
  CHECK(verify.json()["layers"] == 7);
}

TEST_CASE("bench model times a packed network on a device, and tells its memory there") {
  Packed& p = packed();
  const std::string command =
      "bench model " + p.file + " --batch 1 -r 1 --seconds 0 --layers --device emulated";
  const Called called = call(command + " --json");
  INFO(called.err);
  REQUIRE(called.code == 0);
  const auto out = called.json();
  CHECK(out["device"] == "emulated:0");
  CHECK(out["weight_bytes"] > 0);
  int64_t most = 0;
  for (const auto& layer : out["layers"]) {
    CHECK_THAT(layer["kernel"].get<std::string>(), Contains("_emulated"));
    most = std::max(most, layer["offset"].get<int64_t>() + layer["bytes"].get<int64_t>());
  }
  CHECK(out["activation_bytes"] == most);
  CHECK_THAT(call(command).out, Contains("batch 1  emulated:0  median"));
}

TEST_CASE("bench model times the launches of a recorded forward, packed and not") {
  for (const std::string& model : {packed().file, std::string("resnet8 --size 8")}) {
    const Called called = call("bench model " + model +
                               " --batch 1 -r 1 --seconds 0 --graph --json --device emulated");
    INFO(model << ": " << called.err);
    REQUIRE(called.code == 0);
    CHECK(called.json()["graph"] == true);
    CHECK(called.json()["runs"] == 1);
  }
  const Called host = call("bench model resnet8 --graph");
  CHECK(host.code == 2);
  CHECK_THAT(host.err, Contains("--graph needs a device other than the CPU"));
}

TEST_CASE("inspect says which kernels of a device run a packed network, and its bytes there") {
  const std::string command = "inspect " + packed().file + " --device emulated";
  const auto out = call(command + " --json").json();
  CHECK(out["memory"]["device"] == "emulated:0");
  CHECK(out["memory"]["weight_bytes"] > 0);
  for (const auto& layer : out["layers"])
    CHECK_THAT(layer["kernel"].get<std::string>(), Contains("_emulated"));
  CHECK_THAT(call(command).out, Contains("in memory of emulated:0: weights"));
}

TEST_CASE("a layer that a required family of the device lacks is an error that says so") {
  const Called called = call("eval " + packed().file +
                             " --data shapes10 --device emulated --kernel vnni --require-kernel");
  CHECK(called.code == 69);
  CHECK_THAT(called.err, Contains("no layer has a kernel of family 'vnni'"));
}
