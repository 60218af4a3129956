#include <set>

#include "lowbit_conv2d_problem.h"

namespace apprentice {
namespace {

using kernels::LowbitConv2d;
using test::compare_kernels;
using test::Shortcut;
using test::Sizes;

/// Largest codes of x that the two Winograd kernels take: F(2x2,3x3) and F(2,3) along rows.
constexpr int32_t kLimits[] = {63, 127};

/// The kernels whose name has `part`.
template <int Bits>
std::vector<kernels::Kernel<LowbitConv2d<Bits>>> kernels_with(const std::string& part) {
  std::vector<kernels::Kernel<LowbitConv2d<Bits>>> found;
  for (const auto& kernel : kernels::kernel_table<LowbitConv2d<Bits>>().kernels()) {
    if (kernel.name.find(part) != std::string::npos) found.push_back(kernel);
  }
  return found;
}

/// Every kernel gives the sums of the reference for these codes, with a 3x3 kernel and no padding.
void compare_sums(const std::vector<uint8_t>& x, std::array<int64_t, 4> x_sizes, int32_t max_x,
                  const std::vector<int8_t>& codes, int64_t out) {
  const int64_t cols = 9 * x_sizes[3];
  std::vector<uint8_t> packed(size_t(out * kernels::packed_row_bytes(4, cols)));
  kernels::pack_codes<4>({codes.data(), {out, cols}}, packed.data());
  LowbitConv2d<4>::Args args;
  args.x = {x.data(), x_sizes};
  args.max_x = max_x;
  args.weight = {packed.data(), out, cols};
  args.kernel_size = {3, 3};
  const auto sums = [&](const auto& kernel) {
    std::vector<int32_t> acc(size_t(x_sizes[0] * (x_sizes[1] - 2) * (x_sizes[2] - 2) * out), -1);
    args.acc = {acc.data(), {x_sizes[0], x_sizes[1] - 2, x_sizes[2] - 2, out}};
    kernel.run(args, {});
    return acc;
  };
  const auto& kernels = kernels::kernel_table<LowbitConv2d<4>>().kernels();
  const auto expected = sums(kernels.back());
  for (const auto& kernel : kernels) {
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    INFO(kernel.name << " max_x " << max_x);
    CHECK(bool(sums(kernel) == expected));
  }
}

}  // namespace

TEMPLATE_TEST_CASE_SIG("Winograd convolution equals its reference for every small geometry",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  uint64_t seed = 5000;
  for (int64_t height = 1; height <= 9; ++height) {
    for (int64_t width = 1; width <= 9; ++width) {
      for (const int64_t padding : {0, 1, 2}) {
        ++seed;
        const bool two_step = Bits == 2 && seed % 3 == 0;
        const int64_t images = 1 + int64_t(seed % 3), out = 15 + int64_t(seed % 20);
        compare_kernels<Bits>(
            {images, height, width, 5, out, 3, 1, padding, 1, two_step, kLimits[seed % 2]},
            Shortcut(seed % 3), seed);
      }
    }
  }
}

TEMPLATE_TEST_CASE_SIG("Winograd convolution equals its reference for every number of channels",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  uint64_t seed = 6000;
  for (int64_t in = 1; in <= 70; ++in) {
    ++seed;
    const bool two_step = Bits == 2 && seed % 3 == 0;
    const int64_t out = in * 29 % 70 + 1;
    compare_kernels<Bits>({2, 3, 4 + in % 9, in, out, 3, 1, 1, 1, two_step, kLimits[seed % 2]},
                          Shortcut(seed % 3), seed);
  }
  for (const int64_t channels : {16, 32, 48, 64, 128, 192}) {
    for (const int32_t limit : kLimits) {
      ++seed;
      compare_kernels<Bits>({3, 5, 9, channels, channels, 3, 1, 1, 1, false, limit},
                            Shortcut(seed % 3), seed);
    }
  }
}

TEST_CASE("Winograd convolution equals its reference for wide rows and many tiles", "[lowbit]") {
  for (int64_t width = 10; width <= 40; ++width) {
    const int64_t in = width % 3 == 0 ? 16 : width % 3 == 1 ? 32 : 20;
    compare_kernels<2>({1, 5, width, in, 33, 3, 1, 1, 1, width % 4 == 0, kLimits[width % 2]},
                       Shortcut::plain, uint64_t(7000 + width));
  }
  compare_kernels<2>({5, 40, 40, 16, 16, 3, 1, 1, 1, false, 63}, Shortcut::none, 7100);
  compare_kernels<4>({3, 30, 27, 64, 32, 3, 1, 1, 1, false, 63}, Shortcut::none, 7101);
  compare_kernels<2>({2, 30, 27, 64, 32, 3, 1, 1, 1, true, 127}, Shortcut::option_a, 7102);
  compare_kernels<4>({1, 7, 7, 260, 70, 3, 1, 1, 1, false, 63}, Shortcut::plain, 7103);
}

TEST_CASE("Winograd convolution is the same for 1 and 2 threads, however work is shared out",
          "[lowbit]") {
  // Outputs are shared out with few tiles, tiles with few outputs, images with many.
  const Sizes cases[] = {
      {1, 6, 7, 16, 65, 3, 1, 1, 1, false, 63},    {1, 25, 31, 16, 17, 3, 1, 1, 1, false, 63},
      {5, 6, 6, 24, 33, 3, 1, 1, 1, true, 63},     {1, 6, 7, 16, 65, 3, 1, 1, 1, true, 127},
      {1, 25, 31, 16, 17, 3, 1, 1, 1, false, 127}, {5, 6, 6, 24, 33, 3, 1, 1, 1, false, 127}};
  for (const Sizes& sizes : cases) {
    test::ConvProblem<2> problem(sizes, Shortcut::plain, 8000);
    for (const auto& kernel : kernels_with<2>("winograd")) {
      if (!kernel.refuse(problem.args()).empty()) continue;
      INFO(kernel.name << " n" << sizes.n << " in " << sizes.in << " out " << sizes.out);
      const auto with = [&](int count) {
        const test::Threads threads(count);
        return problem.run(kernel);
      };
      CHECK(bool(with(1) == with(2)));
    }
  }
}

TEST_CASE("Winograd convolution is exact for every corner of its input range", "[lowbit]") {
  // What is held in a byte is linear in the input, so it is largest and smallest at corners: all
  // 4x4 tiles of codes 0 and max_x. The sums of both signs are largest with weights of one sign.
  const int64_t images = 1 << 16, out = 16;
  std::vector<int8_t> codes(size_t(out * 9));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = i * 7 % 5 < 3 ? -8 : 7;
  std::fill_n(codes.begin(), 9, int8_t(-8));
  std::fill_n(codes.begin() + 9, 9, int8_t(7));
  for (const int32_t limit : kLimits) {
    std::vector<uint8_t> x(size_t(images) * 16);
    for (size_t i = 0; i < x.size(); ++i) x[i] = (i / 16 >> i % 16 & 1) ? uint8_t(limit) : 0;
    compare_sums(x, {images, 4, 4, 1}, limit, codes, out);
  }
}

TEST_CASE("Winograd convolution is exact for every corner of its weight range", "[lowbit]") {
  const int64_t images = 64, out = 1 << 9;
  std::vector<int8_t> codes(size_t(out * 9));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = (i / 9 >> i % 9 & 1) ? 7 : -8;
  Rng rng = test::problem_rng(9000);
  for (const int32_t limit : kLimits) {
    std::vector<uint8_t> x(size_t(images) * 16);
    for (uint8_t& code : x) code = rng.below(2) ? uint8_t(limit) : 0;
    std::fill_n(x.begin(), 16, uint8_t(limit));
    compare_sums(x, {images, 4, 4, 1}, limit, codes, out);
  }
}

TEST_CASE("Winograd convolution of extreme codes is exact for many channels", "[lowbit]") {
  const int64_t in = 516;
  for (const int32_t limit : kLimits) {
    const std::vector<uint8_t> x(size_t(4 * 4 * in), uint8_t(limit));
    for (const int value : {-8, 7}) {
      compare_sums(x, {1, 4, 4, in}, limit, std::vector<int8_t>(size_t(9 * in), int8_t(value)), 1);
    }
  }
}

TEST_CASE("Winograd kernels refuse what they cannot hold, and say it", "[lowbit]") {
  test::ConvProblem<2> problem({1, 9, 9, 32, 8, 3, 1, 1, 1, false, 63}, Shortcut::none, 1);
  auto args = problem.args();
  for (const auto& kernel : kernels_with<2>("winograd")) {
    if (kernel.refuse(args).find("AVX-512") != std::string::npos) continue;
    INFO(kernel.name);
    const bool row = kernel.name.find("row") != std::string::npos;
    CHECK(kernel.refuse(args) == "");
    args.max_x = row ? 128 : 64;
    CHECK(kernel.refuse(args) == (row ? "max_x is 128, above 127" : "max_x is 64, above 63"));
    args.max_x = 63;
    args.geometry.stride = {1, 2};
    CHECK(kernel.refuse(args) == "stride is 1x2, not 1");
    args.geometry.stride = {1, 1};
    args.kernel_size = {1, 3};
    CHECK(kernel.refuse(args) == "kernel is 1x3, not 3x3");
    args.kernel_size = {3, 3};
  }
}

TEST_CASE("Winograd kernels leave few channels and tiny images to the direct kernel", "[lowbit]") {
  const auto reasons = [](const Sizes& sizes) {
    test::ConvProblem<2> problem(sizes, Shortcut::none, 1);
    std::set<std::string> all;
    for (const auto& k : kernels_with<2>("winograd")) all.insert(k.yield(problem.args()));
    return all;
  };
  if (kernels_with<2>("winograd").empty()) return;  // they are for x86-64
  using Reasons = std::set<std::string>;
  CHECK(reasons({1, 9, 9, 31, 8, 3, 1, 1, 1, false, 63}) ==
        Reasons{"31 input channels: direct is faster"});
  CHECK(reasons({1, 3, 2, 64, 8, 3, 1, 1, 1, false, 63}) ==
        Reasons{"image is 3x2: direct is faster"});
  CHECK(reasons({1, 8, 8, 64, 8, 3, 1, 1, 1, false, 63}) == Reasons{""});
}

}  // namespace apprentice
