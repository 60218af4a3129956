#include <cuda/lowbit_device_problem.h>

#include <apprentice/kernels/cuda/lowbit_conv2d.cuh>

namespace apprentice {
namespace {

/// Sizes of one convolution.
struct Conv {
  int64_t n, h, w, in, out, kernel, stride, padding, dilation = 1;
};
/// The shortcut that is wanted.
struct Shortcut {
  int64_t channels = 0;  ///< 0: none
  bool halved = false;   ///< it has about twice the rows and columns of the output
};

/// What a convolution gives.
struct Outputs {
  explicit Outputs(size_t count) : acc(count), negative(count), f32(count), codes(count) {}
  std::vector<int32_t> acc, negative;
  std::vector<float> f32;
  std::vector<uint8_t> codes;
};
struct DeviceOutputs {
  explicit DeviceOutputs(size_t count) : acc(count), negative(count), f32(count), codes(count) {}
  simt::Buffer<int32_t> acc, negative;
  simt::Buffer<float> f32;
  simt::Buffer<uint8_t> codes;
};

template <class Args, class Memory>
void set_outputs(Args& args, Memory& memory, const std::array<int64_t, 4>& sizes) {
  args.acc = {memory.acc.data(), sizes};
  if (args.two_step) args.acc_negative = {memory.negative.data(), sizes};
  args.acc_f32 = {memory.f32.data(), sizes};
  args.y = {memory.codes.data(), sizes};
}

/// The device's sums and codes are those of the reference.
template <int Bits>
void check_conv(const Conv& c, bool two_step = false, const Shortcut& shortcut = {}) {
  using Op = kernels::LowbitConv2d<Bits>;
  CAPTURE(Op::types, c.n, c.h, c.w, c.in, c.out, c.kernel, c.stride, c.padding, c.dilation,
          two_step, shortcut.channels, shortcut.halved);
  const int64_t depth = c.kernel * c.kernel * c.in;
  Rng rng = test::problem_rng(uint64_t(c.h * 1000003 + c.in * 1009 + c.out * 10 + c.kernel));
  const auto x = test::random_bytes(rng, c.n * c.h * c.w * c.in);
  const test::RandomCodes<Bits> weight(rng, c.out, depth);
  const test::RandomEpilogue epilogue(rng, c.out, depth * 64, two_step, 200);

  typename Op::Args args;
  args.x = {x.data(), {c.n, c.h, c.w, c.in}};
  args.weight = weight.packed;
  args.kernel_size = {c.kernel, c.kernel};
  args.geometry.stride = {c.stride, c.stride};
  args.geometry.padding = {c.padding, c.padding};
  args.geometry.dilation = {c.dilation, c.dilation};
  args.two_step = two_step;
  args.epilogue = epilogue.view;
  const int64_t p = args.geometry.out_size(0, c.h, c.kernel);
  const int64_t q = args.geometry.out_size(1, c.w, c.kernel);
  const std::array<int64_t, 4> sizes{c.n, p, q, c.out};
  const auto count = size_t(c.n * p * q * c.out);
  const int64_t rh = shortcut.halved ? 2 * p : p, rw = shortcut.halved ? 2 * q - 1 : q;
  const auto residual = test::random_bytes(rng, c.n * rh * rw * shortcut.channels);
  if (shortcut.channels > 0) args.residual = {residual.data(), {c.n, rh, rw, shortcut.channels}};
  Outputs expected(count);
  set_outputs(args, expected, sizes);
  kernels::kernel_table<Op>().kernels().back().run(args, {});

  const testing::DeviceBytes dx(x, 0), dresidual(residual, 0);
  const testing::DeviceEpilogue depilogue(epilogue);
  const auto fragments = testing::device_fragments(weight.packed);
  const DeviceOutputs got(count);
  args.x.data = dx.data();
  if (args.residual) args.residual.data = dresidual.data();
  args.epilogue = depilogue.view;
  args.prepacked = &fragments;
  set_outputs(args, got, sizes);
  REQUIRE(kernels::SIMT_NS::refuse_lowbit_conv2d<Bits>(args) == "");
  kernels::SIMT_NS::lowbit_conv2d<Bits>(args, nullptr);
  CHECK(bool(got.acc.values() == expected.acc));
  if (two_step) CHECK(bool(got.negative.values() == expected.negative));
  CHECK(bool(got.f32.values() == expected.f32));
  CHECK(bool(got.codes.values() == expected.codes));
}

}  // namespace

KERNEL_TEST_CASE(
    "low-bit convolution on tensor cores sums windows of 1, 3, 5 and 7 as the reference") {
  for (const int64_t stride : {1, 2}) {
    for (const auto& [kernel, padding] : {std::array<int64_t, 2>{1, 0}, {3, 1}, {3, 0}, {5, 2}}) {
      check_conv<2>({2, 7, 5, 16, 17, kernel, stride, padding});
      check_conv<4>({2, 5, 7, 8, 33, kernel, stride, padding});
    }
    check_conv<2>({1, 9, 10, 3, 8, 7, stride, 3});
    check_conv<4>({1, 9, 10, 4, 5, 7, stride, 3});
  }
}

KERNEL_TEST_CASE("low-bit convolution on tensor cores takes any number of channels and pixels") {
  for (const int64_t in : {1, 2, 3, 4, 12, 15, 16, 17, 32, 48}) {
    check_conv<2>({1, 3, 3, in, 4, 3, 1, 1});
    check_conv<4>({1, 3, 3, in, 4, 3, 1, 1});
  }
  for (const int64_t out : {1, 31, 32, 33, 65}) check_conv<2>({1, 4, 4, 16, out, 3, 1, 1});
  for (const int64_t w : {1, 63, 64, 65, 129}) check_conv<4>({1, 1, w, 16, 9, 3, 1, 1});
}

KERNEL_TEST_CASE(
    "low-bit convolution on tensor cores takes padding beyond the image and dilation") {
  check_conv<2>({1, 2, 3, 16, 5, 3, 1, 4});
  check_conv<4>({1, 2, 3, 5, 5, 2, 3, 5});
  check_conv<2>({2, 9, 9, 16, 7, 3, 1, 2, 2});
  check_conv<4>({1, 8, 9, 4, 7, 3, 2, 1, 3});
}

KERNEL_TEST_CASE("ternary convolution of two steps on tensor cores sums +1 and -1 apart") {
  check_conv<2>({2, 6, 5, 16, 33, 3, 1, 1}, true);
  check_conv<2>({2, 6, 5, 16, 32, 3, 2, 1}, true, {32});
  check_conv<2>({1, 5, 5, 3, 6, 1, 1, 0}, true, {3, true});
}

KERNEL_TEST_CASE("low-bit convolution on tensor cores adds the shortcut, through option A too") {
  for (const int64_t out : {1, 16, 33}) {
    check_conv<2>({2, 6, 5, 16, out, 3, 1, 1}, false, {out});
    check_conv<4>({2, 6, 5, 8, out, 3, 1, 1}, false, {(out + 1) / 2, true});
  }
  check_conv<4>({2, 7, 7, 8, 32, 3, 2, 1}, false, {16, true});
}

KERNEL_TEST_CASE("low-bit convolution on tensor cores of no images or no outputs is done at once") {
  check_conv<2>({0, 4, 4, 16, 8, 3, 1, 1});
  check_conv<4>({2, 4, 4, 16, 0, 3, 1, 1});
}

KERNEL_TEST_CASE("low-bit convolution on tensor cores says what it cannot do") {
  kernels::LowbitConv2d<4>::Args args;
  args.weight.cols = 65793;
  CHECK(kernels::SIMT_NS::refuse_lowbit_conv2d<4>(args) == "");
  args.two_step = true;
  CHECK(kernels::SIMT_NS::refuse_lowbit_conv2d<4>(args) == "two steps of 4-bit weights");
  args.geometry.groups = 2;
  CHECK(kernels::SIMT_NS::refuse_lowbit_conv2d<4>(args) ==
        "2 groups of channels, tensor cores take one");
  kernels::LowbitConv2d<2>::Args ternary;
  ternary.weight.cols = 131587;
  CHECK(kernels::SIMT_NS::refuse_lowbit_conv2d<2>(ternary) ==
        "131587 products a sum, at most 131586 fit in s32 as tensor cores add them");
}

}  // namespace apprentice
