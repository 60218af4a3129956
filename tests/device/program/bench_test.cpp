#include <catch2/catch.hpp>

#include <tools/program.h>

using namespace apprentice::test;
using Catch::Matchers::Contains;

TEST_CASE("kernels of a device are verified and timed in its memory") {
  ScratchFolder folder;
  write_text(folder / "shapes.txt",
             "conv2d n=1 h=5 w=6 in=16 out=20 kernel=3 stride=1 padding=1\n"
             "gemm m=3 n=20 k=70\n"
             "gemm m=3 n=20 k=256 group=128\n");
  const Called called = call("bench kernels --device emulated --seconds 0.01 --json --shapes " +
                             (folder / "shapes.txt"));
  INFO(called.err);
  REQUIRE(called.code == 0);
  int verified = 0;
  for (const auto& row : called.json()) {
    CAPTURE(row.dump());
    CHECK_THAT(row["kernel"].get<std::string>(), Contains("_emulated"));
    CHECK(row["peer"] == false);
    if (row.contains("refused")) continue;
    CHECK(row["verified"] == true);
    CHECK(row.contains("median_us"));
    CHECK_FALSE(row.contains("roofline_percent"));
    ++verified;
  }
  CHECK(verified >= 7);  // two convolutions, four products, the f32 convolution
}

TEST_CASE("what only the CPU has is refused for a device") {
  const Called flushed = call("bench kernels --device emulated --flush --shapes gemv");
  CHECK(flushed.code == 2);
  CHECK_THAT(flushed.err, Contains("--flush is for the caches of the CPU"));
}

TEST_CASE("a training step of a device is timed, given anew or as a graph") {
  const std::string step =
      "bench step resnet8 --teacher resnet8 --weights twn --device emulated --batch 2 --size 8 -r "
      "1 "
      "--seconds 0.01 --json ";
  for (const bool graph : {false, true}) {
    const Called called = call(step + (graph ? "--graph --precision bf16" : ""));
    INFO(called.err);
    REQUIRE(called.code == 0);
    CHECK(called.json()["device"] == "emulated:0");
    CHECK(called.json()["graph"] == graph);
    CHECK(called.json()["precision"] == (graph ? "bf16" : "f32"));
  }
  const Called here = call("bench step resnet8 --batch 2 --graph");
  CHECK(here.code == 2);
  CHECK_THAT(here.err, Contains("--graph needs a device other than the CPU"));
}
