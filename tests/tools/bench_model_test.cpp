#include <catch2/catch.hpp>

#include "program.h"

using namespace apprentice::test;
using Catch::Matchers::Contains;

TEST_CASE("bench model times a packed network whole and layer by layer") {
  const std::string command =
      "bench model resnet20 --weights twn --batch 2 --seconds 0.01 --threads 1 --layers ";
  const Called called = call(command + "--json");
  REQUIRE(called.code == 0);
  const auto out = called.json();
  CHECK(out["median_ms"].get<double>() > 0);
  // Two images of 16 channels of 32x32 codes: a map, its shortcut and what is made of them.
  CHECK(out["activation_bytes"] == 2 * 3 * 16 * 32 * 32);
  REQUIRE(out["layers"].size() == 21);
  const auto& conv = out["layers"][1];
  CHECK(conv["name"] == "layer1.0.conv1");
  CHECK(conv["y"] == nlohmann::json({32, 32, 16}));
  CHECK(conv["macs"] == 32 * 32 * 16 * 16 * 9);
  CHECK(conv["bytes"] == 2 * 16 * 32 * 32);
  CHECK(conv["offset"].get<int64_t>() + 2 * 16 * 32 * 32 <= out["activation_bytes"]);
  CHECK(out["device"] == "cpu");
  double share = 0;
  for (const auto& layer : out["layers"]) share += layer["share"].get<double>();
  CHECK(share == Approx(1));
  const std::string table = call(command + "--md").out;
  CHECK_THAT(table, Contains("| bytes") && Contains("| at") && Contains("| until"));
  CHECK_THAT(table, Contains("| layer1.0.conv1 |"));
}

TEST_CASE("bench names a device that is not there, and one that is none") {
  for (const std::string work :
       {"model resnet20 --weights twn", "model resnet20", "step resnet20 --weights twn"}) {
    CAPTURE(work);
    // No machine has so many.
    const Called absent = call("bench " + work + " --seconds 0.01 --device cuda:99");
    CHECK(absent.code == 69);
    CHECK_THAT(absent.err, Contains("apprentice: device cuda"));
    CHECK(call("bench " + work + " --device gpu").code == 2);
  }
}

TEST_CASE("bench model has no layers for a network that is not packed") {
  const Called called = call("bench model resnet20 --layers --seconds 0.01");
  CHECK(called.code == 2);
  CHECK_THAT(called.err, Contains("--layers") && Contains("resnet20"));
}
