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
  double share = 0;
  for (const auto& layer : out["layers"]) share += layer["share"].get<double>();
  CHECK(share == Approx(1));
  CHECK_THAT(call(command + "--md").out, Contains("| layer1.0.conv1 |"));
}

TEST_CASE("bench model has no layers for a network that is not packed") {
  const Called called = call("bench model resnet20 --layers --seconds 0.01");
  CHECK(called.code == 2);
  CHECK_THAT(called.err, Contains("--layers") && Contains("resnet20"));
}
