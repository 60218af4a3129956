#include <apprentice/kernels/kernel_table.h>

#include <catch2/catch.hpp>

#include <apprentice/base/cpu.h>
#include <apprentice/kernels/batch_norm.h>

using namespace apprentice;
using namespace apprentice::kernels;

namespace {

/// An operation of this test: y = x, which only some kernels can do for large x.
struct Copy {
  static constexpr std::string_view name = "copy", types = "i32";
  struct Args {
    int x;
    int* y;
  };
};

Kernel<Copy> copy_kernel(const char* name, const char* family, int priority, int largest) {
  return {.name = name,
          .family = family,
          .priority = priority,
          .refuse =
              [largest](const Copy::Args& a) {
                return a.x > largest ? fmt::format("x is {}, at most {}", a.x, largest) : "";
              },
          .run = [](const Copy::Args& a, Stream) { *a.y = a.x; }};
}

KernelTable<Copy> table() {
  KernelTable<Copy> table;
  table.add(copy_kernel("copy_small", "small", 20, 10));
  table.add(copy_kernel("copy_reference", "reference", 0, 1000));
  table.add(copy_kernel("copy_medium", "medium", 10, 100));
  return table;
}

}  // namespace

TEST_CASE("a table is walked by falling priority, whatever the order of registration") {
  const auto kernels = table();
  CHECK(kernels.select({5, nullptr}).name == "copy_small");
  CHECK(kernels.select({50, nullptr}).name == "copy_medium");
  CHECK(kernels.select({500, nullptr}).name == "copy_reference");
}

TEST_CASE("a preferred family is taken where it can, and passed over where it cannot") {
  const auto kernels = table();
  CHECK(kernels.select({5, nullptr}, {"reference", false}).name == "copy_reference");
  CHECK(kernels.select({50, nullptr}, {"small", false}).name == "copy_medium");
  CHECK(kernels.select({5, nullptr}, {"nonesuch", false}).name == "copy_small");
}

TEST_CASE(
    "a kernel that yields is passed over, unless nothing else of what is asked for is there") {
  auto kernels = table();
  Kernel<Copy> yielding = copy_kernel("copy_odd", "odd", 30, 1000);
  yielding.yield = [](const Copy::Args& a) { return a.x % 2 ? "" : "x is even"; };
  kernels.add(yielding);
  CHECK(kernels.select({5, nullptr}).name == "copy_odd");
  CHECK(kernels.select({6, nullptr}).name == "copy_small");
  CHECK(kernels.select({6, nullptr}, {"odd", true}).name == "copy_odd");
  CHECK(kernels.select({600, nullptr}).name == "copy_reference");
}

TEST_CASE("a required family that cannot is a DeviceError naming the refusal") {
  const auto kernels = table();
  CHECK_THROWS_AS(kernels.select({50, nullptr}, {"small", true}), DeviceError);
  CHECK_THROWS_WITH(kernels.select({50, nullptr}, {"small", true}),
                    Catch::Contains("copy") && Catch::Contains("family 'small'") &&
                        Catch::Contains("copy_small declined: x is 50, at most 10"));
  // A family that computes this operation nowhere cannot be meant for it.
  CHECK(kernels.select({5, nullptr}, {"nonesuch", true}).name == "copy_small");
  CHECK_THROWS_AS(kernels.select({5000, nullptr}), DeviceError);
}

TEST_CASE("a table offers exactly the instruction sets that the processor has") {
  BatchNormEval<float>::Args args;
  float one = 1;
  args.x = {&one, {1, 1}};
  for (const auto& kernel : kernel_table<BatchNormEval<float>>().kernels()) {
    CAPTURE(kernel.name);
    bool offered = true;
    if (kernel.family == "avx512") offered = cpu_features().avx512;
    if (kernel.family == "avx2") offered = cpu_features().avx2;
    CHECK((!kernel.refuse || kernel.refuse(args).empty()) == offered);
  }
}

TEST_CASE("a kernel is chosen only for the kind of device whose memory it works on") {
  KernelTable<Copy> both = table();
  Kernel<Copy> cuda = copy_kernel("copy_cuda", "cuda", 50, 1000);
  cuda.where = Device::Kind::cuda;
  both.add(cuda);
  int y = 0;
  CHECK(both.select({1, &y}).name == "copy_small");
  CHECK(both.select({1, &y}, {}, Device::Kind::cuda).name == "copy_cuda");
  CHECK(both.select({1, &y}, {"small", true}, Device::Kind::cuda).name == "copy_cuda");
  CHECK_THROWS_WITH(both.select({1, &y}, {}, Device::Kind::emulated),
                    "copy: no kernel for emulated can compute this");
}

TEST_CASE("launch follows the default preference") {
  kernel_table<Copy>().add(copy_kernel("copy_fast", "fast", 10, 1));
  kernel_table<Copy>().add(copy_kernel("copy_any", "reference", 0, 1000));
  int y = 0;
  launch<Copy>({7, &y});
  CHECK(y == 7);
  const Preference before = default_preference();
  default_preference() = {"fast", true};
  CHECK_THROWS_AS(launch<Copy>({7, &y}), DeviceError);
  default_preference() = before;
}
