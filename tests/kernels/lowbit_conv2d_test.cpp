#include <cmath>
#include <limits>

#include "lowbit_conv2d_problem.h"

namespace apprentice {
namespace {

using kernels::LowbitConv2d;
using test::compare_kernels;
using test::Shortcut;
using test::Sizes;

}  // namespace

TEMPLATE_TEST_CASE_SIG("low-bit convolution equals its reference for every small geometry",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  uint64_t seed = 0;
  // 3 channels are copied and padded; 8 and 16 are read in place, 16 to 16 by a kernel of their
  // own.
  for (const int64_t in : {3, 8, 16}) {
    for (int64_t size = 1; size <= 9; ++size) {
      for (const int64_t stride : {1, 2}) {
        for (const int64_t padding : {0, 1, 2}) {
          for (const int64_t kernel : {1, 2, 3, 5}) {
            ++seed;
            const bool two_step = Bits == 2 && seed % 3 == 0;
            const int64_t images = 1 + int64_t(seed % 3), width = 1 + (size * 5 + in) % 9;
            compare_kernels<Bits>(
                {images, size, width, in, in == 16 ? 16 : 17, kernel, stride, padding, 1, two_step},
                Shortcut(seed % 3), seed);
          }
        }
      }
    }
  }
}

TEMPLATE_TEST_CASE_SIG("low-bit convolution equals its reference for every number of channels",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  uint64_t seed = 1000;
  for (const int64_t in : {1, 3, 16, 17, 33, 64, 100}) {
    for (const int64_t out : {1, 3, 16, 17, 32, 33, 64, 100}) {
      ++seed;
      const bool two_step = Bits == 2 && seed % 3 == 0;
      const Sizes sizes = {2, 4, 5, in, out, 3, 1 + int64_t(seed % 2), 1, 1, two_step};
      compare_kernels<Bits>(sizes, Shortcut(seed % 3), seed);
    }
  }
}

TEST_CASE("low-bit convolution equals its reference for wide rows, strips and dilation",
          "[lowbit]") {
  for (int64_t width = 9; width <= 34; ++width) {
    const Sizes sizes = {1, 3, width, 16, 16 + 16 * (width % 2), 3, 1, 1, 1, width % 4 == 0};
    compare_kernels<2>(sizes, Shortcut::plain, uint64_t(width));
  }
  compare_kernels<2>({3, 40, 40, 64, 32, 3, 1, 1, 1, false}, Shortcut::none, 2000);
  compare_kernels<4>({2, 19, 17, 8, 24, 3, 2, 2, 2, false}, Shortcut::option_a, 2001);
  compare_kernels<2>({1, 11, 12, 5, 9, 3, 1, 3, 3, true}, Shortcut::none, 2002);
}

TEST_CASE("low-bit convolution reads shortcuts of any number of channels through option A",
          "[lowbit]") {
  for (int64_t channels = 1; channels <= 38; ++channels) {
    const bool two_step = channels % 2 == 0;
    test::ConvProblem<2> problem({1, 4, 5, 3, 38, 3, 1, 1, 1, two_step}, Shortcut::none, 4000);
    problem.set_shortcut(channels, channels % 3 != 0);
    INFO(channels << " channels");
    compare_kernels(problem);
  }
}

TEST_CASE("low-bit convolution makes the reference's codes of huge, tiny and undefined constants",
          "[lowbit]") {
  const float inf = std::numeric_limits<float>::infinity(), nan = std::nanf("");
  const float values[] = {1e9f, -1e9f, 3e38f, 1e-44f, inf, -inf, nan, 0.0f, 0.5f, -2.5f};
  const Sizes cases[] = {{1, 3, 5, 16, 16, 3, 1, 1, 1, false},
                         {1, 3, 5, 8, 33, 3, 1, 1, 1, false},
                         {1, 3, 5, 8, 33, 3, 1, 1, 1, false, 63},
                         {1, 3, 5, 8, 17, 3, 1, 1, 1, true, 127}};
  for (const Sizes& sizes : cases) {
    for (const Shortcut shortcut : {Shortcut::none, Shortcut::plain}) {
      test::ConvProblem<2> problem(sizes, shortcut, 3100);
      auto& epilogue = problem.args().epilogue;
      const auto size = size_t(sizes.out);
      std::vector<float> a(size), b(size), a_negative(size);
      for (size_t c = 0; c < size; ++c) {
        a[c] = values[c % 10];
        b[c] = values[c / 3 % 10];
        a_negative[c] = values[c / 2 % 10];
      }
      epilogue.a.data = a.data(), epilogue.b.data = b.data();
      if (sizes.two_step) epilogue.a_negative.data = a_negative.data();
      INFO("out " << sizes.out << " max_x " << sizes.max_x << " shortcut " << int(shortcut));
      compare_kernels(problem);
    }
  }
}

TEST_CASE("low-bit convolution is the same for 1 and 2 threads, however work is shared out",
          "[lowbit]") {
  // Images; rows; outputs of one image, with one step and with two.
  const Sizes cases[] = {{4, 9, 9, 16, 33, 3, 1, 1, 1, false},
                         {3, 9, 9, 16, 33, 3, 1, 1, 1, false},
                         {1, 9, 9, 8, 64, 3, 2, 1, 1, false},
                         {1, 9, 9, 8, 64, 3, 1, 1, 1, true}};
  for (const Sizes& sizes : cases) {
    test::ConvProblem<2> problem(sizes, Shortcut::plain, 3000);
    for (const auto& kernel : kernels::kernel_table<LowbitConv2d<2>>().kernels()) {
      if (kernel.refuse && !kernel.refuse(problem.args()).empty()) continue;
      INFO(kernel.name << " n" << sizes.n << " out " << sizes.out);
      const auto with = [&](int count) {
        const test::Threads threads(count);
        return problem.run(kernel);
      };
      CHECK(bool(with(1) == with(2)));
    }
  }
}

TEMPLATE_TEST_CASE_SIG("low-bit convolution of extreme codes is exact, without saturation",
                       "[lowbit]", ((int Bits), Bits), 2, 4) {
  const int64_t in = 64, out = 17;
  const std::vector<uint8_t> x(size_t(3 * 3 * in), 255);
  for (const int value : {kernels::min_code<Bits>, kernels::max_code<Bits>}) {
    const test::RandomCodes<Bits> weight(int8_t(value), out, 9 * in);
    typename LowbitConv2d<Bits>::Args args;
    args.x = {x.data(), {1, 3, 3, in}};
    args.weight = weight.packed;
    args.kernel_size = {3, 3};
    for (const auto& kernel : kernels::kernel_table<LowbitConv2d<Bits>>().kernels()) {
      if (kernel.refuse && !kernel.refuse(args).empty()) continue;
      std::vector<int32_t> acc(size_t(out), 0);
      args.acc = {acc.data(), {1, 1, 1, out}};
      kernel.run(args, {});
      INFO(kernel.name << " code " << value);
      CHECK(acc == std::vector<int32_t>(size_t(out), int32_t(9 * in * 255 * value)));
    }
  }
}

TEST_CASE("the reference convolution sums the products that its formula names", "[lowbit]") {
  // x = [[1, 2], [3, 4]], one channel; t = the 2x2 window [[1, -1], [0, 1]], padding 1.
  const std::vector<uint8_t> x = {1, 2, 3, 4};
  const std::vector<int8_t> codes = {1, -1, 0, 1};
  uint8_t packed = 0;
  kernels::pack_codes<2>({codes.data(), {1, 4}}, &packed);
  std::vector<int32_t> acc(9), negative(9);
  LowbitConv2d<2>::Args args;
  args.x = {x.data(), {1, 2, 2, 1}};
  args.weight = {&packed, 1, 4};
  args.kernel_size = {2, 2};
  args.geometry.padding = {1, 1};
  args.acc = {acc.data(), {1, 3, 3, 1}};
  const auto& reference = kernels::kernel_table<LowbitConv2d<2>>().kernels().back();
  REQUIRE(reference.name == "ternary_conv2d_u8w2_cpu_reference");
  reference.run(args, {});
  CHECK(acc == std::vector<int32_t>{1, 2, 0, 2, 3, 2, -3, -1, 4});

  args.two_step = true;
  args.acc_negative = {negative.data(), {1, 3, 3, 1}};
  reference.run(args, {});
  CHECK(acc == std::vector<int32_t>{1, 2, 0, 3, 5, 2, 0, 3, 4});
  CHECK(negative == std::vector<int32_t>{0, 0, 0, 1, 2, 0, 3, 4, 0});
}

TEST_CASE("grouped low-bit convolution falls to the reference, which computes it", "[lowbit]") {
  // Two groups of one channel each: out channel o sees input channel o only.
  const std::vector<uint8_t> x = {5, 7};
  const std::vector<int8_t> codes = {1, -1};
  std::vector<uint8_t> packed(2);
  kernels::pack_codes<2>({codes.data(), {2, 1}}, packed.data());
  std::vector<int32_t> acc(2);
  LowbitConv2d<2>::Args args;
  args.x = {x.data(), {1, 1, 1, 2}};
  args.weight = {packed.data(), 2, 1};
  args.geometry.groups = 2;
  args.acc = {acc.data(), {1, 1, 1, 2}};
  const auto& kernel = kernels::kernel_table<LowbitConv2d<2>>().select(args);
  CHECK(kernel.family == "reference");
  kernel.run(args, {});
  CHECK(acc == std::vector<int32_t>{5, -7});
}

}  // namespace apprentice
