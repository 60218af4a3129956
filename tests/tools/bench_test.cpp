#include <catch2/catch.hpp>

#include <set>

#include "program.h"

using namespace apprentice::test;
using Catch::Matchers::Contains;

namespace {

/// A shape file of one line.
struct Shape {
  ScratchFolder folder;
  std::string path = folder / "shape.txt";
  explicit Shape(const std::string& line) { write_text(path, line + "\n"); }
  Called bench(const std::string& more) const {
    return call("bench kernels --seconds 0.01 --threads 1 --shapes " + path + " " + more);
  }
};

}  // namespace

TEST_CASE("every kernel of a shape is verified and timed beside its peers") {
  const Shape shape("conv2d n=2 h=9 w=7 in=16 out=20 kernel=3 stride=1 padding=1 max_x=63");
  const Called called = shape.bench("--filter '^ternary' --reference --json");
  REQUIRE(called.code == 0);
  std::set<std::string> kernels;
  for (const auto& row : called.json()) {
    CAPTURE(row.dump());
    kernels.insert(row["kernel"].get<std::string>());
    if (row.contains("refused")) continue;
    CHECK(row["min_us"].get<double>() > 0);
    CHECK(row["min_us"].get<double>() <= row["median_us"].get<double>());
    const double seconds = row["median_us"].get<double>() * 1e-6;
    // 2 * (2 * 9 * 7 * 20 outputs) * (3 * 3 * 16 taps)
    CHECK(row["gop_s"].get<double>() == Approx(725760e-9 / seconds));
    if (!row["peer"]) CHECK(row["verified"] == true);
  }
  CHECK(kernels.count("ternary_conv2d_u8w2_cpu_reference") == 1);
  CHECK(kernels.count("onednn_conv2d_u8s8_direct") == 1);
  CHECK(kernels.count("int4_conv2d_u8w4_cpu_reference") == 0);
}

TEST_CASE("oneDNN's 8-bit convolution and product compute the very problem of ours") {
  const auto* line =
      GENERATE("conv2d n=1 h=6 w=6 in=16 out=16 kernel=3 stride=2 padding=1", "gemm m=5 n=17 k=33");
  const Shape shape(line);
  const Called called = shape.bench("--filter ternary --json");
  REQUIRE(called.code == 0);
  int exact = 0;
  for (const auto& row : called.json()) {
    const std::string name = row["kernel"];
    if (name != "onednn_conv2d_u8s8_direct" && name != "onednn_gemm_u8s8") continue;
    CHECK(row["verified"] == true);
    ++exact;
  }
  CHECK(exact == 1);
}

TEST_CASE("peers and reference kernels are left out on request") {
  const Shape shape("gemm m=3 n=16 k=16");
  const Called called = shape.bench("--filter ternary --no-peers --md");
  CHECK(called.code == 0);
  CHECK_THAT(called.out, Contains("ternary_gemm_u8w2") && Contains("roofline %"));
  CHECK_THAT(called.out, !Contains("onednn") && !Contains("reference"));
}

TEST_CASE("a shape file that is wrong is named with its line") {
  const Shape word("gemm m=3 n=16 k");
  CHECK(word.bench("").code == 78);
  CHECK_THAT(word.bench("").err, Contains("shape.txt:1") && Contains("'k'"));
  const Shape missing("gemm m=3 n=16");
  CHECK(missing.bench("").code == 78);
  CHECK_THAT(missing.bench("").err, Contains("k= is missing"));
}
