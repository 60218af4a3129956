#include <cuda/lowbit_device_problem.h>

#include <cmath>
#include <limits>

#include <apprentice/kernels/cuda/lowbit_gemm.cuh>

#if defined(SIMT_EMULATED)
#include <apprentice/kernels/simt/emulator.h>
#endif

namespace apprentice {
namespace {

using Sizes = std::array<int64_t, 3>;  ///< m, n, k

/// What is wanted of a random GEMM, and how it is computed.
struct Wish {
  bool two_step = false, acc = true, codes = false, residual = false;
  bool wild = false;  ///< constants are huge, tiny and no numbers
  int64_t x_offset = 0;
  int block_strips = 0;  ///< 0: as the launcher chooses
};

/// Ten constants of either kind in all pairs.
void set_wild(test::RandomEpilogue& epilogue) {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const float values[] = {1e9f, -1e9f, 3e38f, 1e-44f, inf, -inf, nan, 0.0f, 0.5f, -2.5f};
  for (size_t j = 0; j < epilogue.a.size(); ++j) {
    epilogue.a[j] = values[j % 10];
    epilogue.b[j] = values[j / 10 % 10];
    epilogue.a_negative[j] = values[j / 3 % 10];
  }
}

/// The device's sums and codes are those of the reference.
template <class X, int Bits>
void check_gemm(const Sizes& sizes, const Wish& c = {}) {
  using Op = kernels::LowbitGemm<X, Bits>;
  const auto [m, n, k] = sizes;
  CAPTURE(Op::types, sizes, c.two_step, c.acc, c.codes, c.residual, c.x_offset, c.block_strips);
  Rng rng = test::problem_rng(uint64_t(m * 1000003 + n * 1009 + k));
  const auto x = test::random_bytes(rng, m * k), residual = test::random_bytes(rng, m * n);
  const test::RandomCodes<Bits> weight(rng, n, k);
  test::RandomEpilogue epilogue(rng, n, k * 64, c.two_step, 200);
  if (c.wild) set_wild(epilogue);
  const auto count = size_t(m * n);
  std::vector<int32_t> acc(count), negative(count);
  std::vector<uint8_t> codes(count);

  typename Op::Args args;
  args.x = {reinterpret_cast<const X*>(x.data()), {m, k}};
  args.weight = weight.packed;
  args.two_step = c.two_step;
  args.epilogue = epilogue.view;
  if (c.residual) args.residual = {residual.data(), {m, n}};
  if (c.acc) args.acc = {acc.data(), {m, n}};
  if (c.acc && c.two_step) args.acc_negative = {negative.data(), {m, n}};
  if (c.codes) args.y = {codes.data(), {m, n}};
  kernels::kernel_table<Op>().kernels().back().run(args, {});

  const testing::DeviceBytes dx(x, c.x_offset), dresidual(residual, 0);
  const testing::DeviceEpilogue depilogue(epilogue);
  const simt::Buffer<int32_t> dacc(count), dnegative(count);
  const simt::Buffer<uint8_t> dcodes(count);
  const auto fragments = testing::device_fragments(weight.packed);
  args.x.data = reinterpret_cast<const X*>(dx.data());
  args.prepacked = &fragments;
  args.epilogue = depilogue.view;
  if (c.residual) args.residual.data = dresidual.data();
  if (args.acc) args.acc.data = dacc.data();
  if (args.acc_negative) args.acc_negative.data = dnegative.data();
  if (args.y) args.y.data = dcodes.data();
  REQUIRE(kernels::SIMT_NS::refuse_lowbit_gemm<X, Bits>(args) == "");
  if (c.block_strips == 0) {
    kernels::SIMT_NS::lowbit_gemm<X, Bits>(args, nullptr);
  } else {
    kernels::SIMT_NS::launch_lowbit_mma<X, Bits>(
        kernels::SIMT_NS::lowbit_gemm_problem<X, Bits>(args), c.two_step, c.block_strips, nullptr);
  }
  if (c.acc) CHECK(bool(dacc.values() == acc));
  if (c.acc && c.two_step) CHECK(bool(dnegative.values() == negative));
  if (c.codes) CHECK(bool(dcodes.values() == codes));
}

template <class X, int Bits>
void check_sizes() {
  for (const auto& [m, n, k] : {Sizes{1, 1, 1},
                                {1, 1, 16},
                                {63, 31, 127},
                                {64, 32, 128},
                                {65, 33, 129},
                                {1, 65, 400},
                                {130, 97, 52},
                                {3, 128, 260},
                                {67, 130, 36},
                                {66, 64, 528}})
    check_gemm<X, Bits>({m, n, k});
}

}  // namespace

KERNEL_TEST_CASE("ternary GEMM on tensor cores sums as the reference does, whatever the tail") {
  check_sizes<uint8_t, 2>();
  check_sizes<int8_t, 2>();
}

KERNEL_TEST_CASE("4-bit GEMM on tensor cores sums as the reference does, whatever the tail") {
  check_sizes<uint8_t, 4>();
  check_sizes<int8_t, 4>();
}

KERNEL_TEST_CASE("low-bit GEMM of no rows, no columns or no outputs is done at once") {
  for (const auto& [m, n, k] : {Sizes{0, 5, 7}, {5, 0, 7}, {5, 7, 0}}) {
    check_gemm<uint8_t, 2>({m, n, k}, {.codes = true});
    check_gemm<int8_t, 4>({m, n, k}, {.codes = true});
  }
}

KERNEL_TEST_CASE("low-bit GEMM on tensor cores reads rows of any alignment") {
  for (const int64_t offset : {1, 4, 8, 12}) {
    check_gemm<uint8_t, 2>({65, 33, 144}, {.x_offset = offset});
    check_gemm<int8_t, 4>({65, 33, 144}, {.x_offset = offset});
  }
}

KERNEL_TEST_CASE("low-bit GEMM on tensor cores takes tiles of 32, 64 and 128 outputs") {
  for (const int strips : {1, 2, 4}) {
    for (const int64_t n : {32, 160, 257}) {
      check_gemm<uint8_t, 2>({70, n, 144}, {.codes = true, .block_strips = strips});
      check_gemm<int8_t, 4>({70, n, 144}, {.codes = true, .block_strips = strips});
    }
  }
}

KERNEL_TEST_CASE("a low-bit block is as wide as leaves enough blocks") {
  const auto strips = [](int64_t pixels, int64_t rows) {
    kernels::SIMT_NS::LowbitMma p = {};
    p.pixels = pixels;
    p.layout.rows = rows;
    return kernels::SIMT_NS::lowbit_block_strips(p);
  };
  CHECK(strips(1, 32) == 1);
  CHECK(strips(1, 4096) == 1);
  CHECK(strips(100000, 32) == 1);
  CHECK(strips(100000, 64) == 2);
  CHECK(strips(100000, 96) == 2);
  CHECK(strips(64 * 132, 128) == 4);
  CHECK(strips(64 * 131, 128) == 2);
}

KERNEL_TEST_CASE("low-bit GEMM on tensor cores makes the reference's codes, with a shortcut too") {
  for (const int64_t n : {1, 4, 31, 33, 64}) {
    for (const bool residual : {false, true}) {
      check_gemm<uint8_t, 2>({65, n, 100}, {.codes = true, .residual = residual});
      check_gemm<int8_t, 4>({65, n, 100}, {.acc = false, .codes = true, .residual = residual});
    }
  }
}

KERNEL_TEST_CASE(
    "low-bit GEMM on tensor cores makes the codes of huge, tiny and undefined constants") {
  for (const bool residual : {false, true}) {
    for (const bool two_step : {false, true}) {
      check_gemm<uint8_t, 2>(
          {3, 100, 20}, {.two_step = two_step, .codes = true, .residual = residual, .wild = true});
    }
  }
}

KERNEL_TEST_CASE("ternary GEMM of two steps on tensor cores sums +1 and -1 apart") {
  for (const int64_t n : {1, 31, 64}) {
    check_gemm<uint8_t, 2>({65, n, 129}, {.two_step = true, .codes = true});
    check_gemm<int8_t, 2>({3, n, 128}, {.two_step = true, .codes = true, .residual = true});
    check_gemm<uint8_t, 2>({65, n, 40}, {.two_step = true, .acc = false, .codes = true});
  }
}

KERNEL_TEST_CASE("low-bit GEMM on tensor cores is exact for the longest sums of extreme codes") {
  const int64_t k = 65793;
  const std::vector<uint8_t> x(size_t(k), 255);
  const test::RandomCodes<4> weight(int8_t(-8), 1, k);
  const auto fragments = testing::device_fragments(weight.packed);
  const auto dx = simt::Buffer<uint8_t>::from(x);
  const simt::Buffer<int32_t> acc(1);
  kernels::LowbitGemm<uint8_t, 4>::Args args;
  args.x = {dx.data(), {1, k}};
  args.weight = weight.packed;
  args.prepacked = &fragments;
  args.acc = {acc.data(), {1, 1}};
  kernels::SIMT_NS::lowbit_gemm<uint8_t, 4>(args, nullptr);
  CHECK(acc.values() == std::vector<int32_t>{int32_t(k * 255 * -8)});
}

#if defined(SIMT_EMULATED)
TEST_CASE("slabs of a low-bit GEMM pass through shared memory without bank conflicts") {
  if (!simt::emu::checker_linked()) return;
  const auto conflicts = [](int64_t k) {
    check_gemm<uint8_t, 2>({64, 64, k});
    const auto counts = simt::emu::last_statistics();
    return counts.shared_wavefronts - counts.shared_ideal;
  };
  // The others are those of a block that finds its pixels.
  CHECK(conflicts(128) == conflicts(640));
}
#endif

KERNEL_TEST_CASE("low-bit GEMM on tensor cores says what it cannot do") {
  const auto refusal = [](auto change) {
    kernels::LowbitGemm<uint8_t, 4>::Args args;
    change(args);
    return kernels::SIMT_NS::refuse_lowbit_gemm<uint8_t, 4>(args);
  };
  float value = 0;
  CHECK(refusal([](auto& args) { args.weight.cols = 65793; }) == "");
  CHECK(refusal([](auto& args) { args.weight.cols = 65794; }) ==
        "65794 products a sum, at most 65793 fit in s32 as tensor cores add them");
  CHECK(refusal([](auto& args) { args.group_size = 8; }) == "groups have scales");
  CHECK(refusal([&](auto& args) { args.real_x.data = &value; }) == "x is f32, expected codes");
  CHECK(refusal([&](auto& args) { args.value.data = &value; }) ==
        "unrounded values are wanted, which are not written here");
  CHECK(refusal([](auto& args) { args.two_step = true; }) == "two steps of 4-bit weights");
}

}  // namespace apprentice
