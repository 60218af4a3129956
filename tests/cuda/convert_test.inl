#include <cmath>
#include <limits>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/bf16.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>
#include <apprentice/kernels/cuda/convert.cuh>

namespace apprentice {
namespace {

using kernels::Convert;
using testing::Both;

/// Random bits, so numbers of every size, infinities and NaNs among them.
std::vector<float> any_numbers(size_t n) {
  const auto bits = testing::random_integers<uint32_t>(n, 0, 65535, 1);
  const auto high = testing::random_integers<uint32_t>(n, 0, 65535, 2);
  std::vector<float> values(n);
  for (size_t i = 0; i < n; ++i) {
    // Every third is a tie between two bf16.
    const uint32_t word = high[i] << 16 | (i % 3 ? bits[i] : 0x8000u);
    values[i] = __builtin_bit_cast(float, word);
  }
  return values;
}

template <class From, class To>
using Launcher = void(const typename Convert<From, To>::Args&, simt::Stream);

/// As kernels::convert launches it, but on two blocks: they go round from 2048 elements on.
template <class From, class To>
void on_two_blocks(const typename Convert<From, To>::Args& a, simt::Stream stream) {
  using namespace kernels::SIMT_NS;
  const bool aligned = is_aligned_for<4>(a.x.data) && is_aligned_for<4>(a.y.data);
  simt::launch(convert_kernel<From, To>, 2, kMapThreads, 0, stream, a, aligned);
}

/// x[x_at...] into y[y_at...] by the reference and by the kernel; the rest of y stays.
template <class From, class To>
void check_convert(const std::vector<From>& values, int64_t n, int64_t x_at, int64_t y_at,
                   Launcher<From, To>* convert = kernels::SIMT_NS::convert<From, To>) {
  Both<From> x(values);
  Both<To> y(std::vector<To>(static_cast<size_t>(n) + 4, To(7.0f)));
  const auto args = [&](const From* from, To* to) {
    return typename Convert<From, To>::Args{{from + x_at, {n}}, {to + y_at, {n}}};
  };
  const std::array<int64_t, 1> all{1};
  kernels::launch<Convert<From, To>>(args(x.host.data(), y.host.data()));
  convert(args(x.on_device(all).data, y.on_device(all).data), nullptr);
  CHECK(testing::same_numbers(y.got(), y.host));
}

}  // namespace

KERNEL_TEST_CASE("conversions to and from bf16 give the reference's bits, wherever views begin") {
  const int64_t n = GENERATE(0, 1, 3, 4, 5, 255, 1027);
  const auto values = any_numbers(static_cast<size_t>(n) + 4);
  for (const int64_t x_at : {0, 1, 2})
    for (const int64_t y_at : {0, 1, 2, 4}) {
      CAPTURE(n, x_at, y_at);
      check_convert<float, Bf16>(values, n, x_at, y_at);
      check_convert<Bf16, float>(testing::stored<Bf16>(values), n, x_at, y_at);
    }
}

KERNEL_TEST_CASE("a grid that is too small for all elements converts them in several rounds") {
  const int64_t n = 6147, at = GENERATE(0, 1);
  CAPTURE(at);
  const auto values = any_numbers(size_t(n) + 4);
  check_convert<float, Bf16>(values, n, at, at, on_two_blocks<float, Bf16>);
  check_convert<Bf16, float>(testing::stored<Bf16>(values), n, at, at, on_two_blocks<Bf16, float>);
}

KERNEL_TEST_CASE(
    "rounding to bf16 goes to the nearest, ties to even, and keeps what is no number") {
  const float infinity = std::numeric_limits<float>::infinity();
  // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 2^-8 between 1 + 2^-7 and 1 + 2^-6.
  const std::vector<float> given{1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 1.0f + 0x1.1p-8f, -255.0f,
                                 3.4e38f,        -infinity,          std::nanf(""),    -0.0f};
  const std::vector<float> expected{1.0f,     1.0f + 0x1p-6f, 1.0f + 0x1p-7f, -255.0f,
                                    infinity, -infinity,      std::nanf(""),  -0.0f};
  Both<float> x(given), wide(std::vector<float>(given.size()));
  Both<Bf16> y(std::vector<Bf16>(given.size()));
  const std::array<int64_t, 1> n{int64_t(given.size())};
  kernels::SIMT_NS::convert<float, Bf16>({x.on_device(n), y.on_device(n)}, nullptr);
  kernels::SIMT_NS::convert<Bf16, float>({y.on_device(n), wide.on_device(n)}, nullptr);
  const auto got = wide.got();
  for (size_t i = 0; i < given.size(); ++i) {
    CAPTURE(given[i], expected[i], got[i]);
    CHECK((got[i] == expected[i] || (std::isnan(got[i]) && std::isnan(expected[i]))));
    CHECK((std::isnan(got[i]) || std::signbit(got[i]) == std::signbit(expected[i])));
  }
}

}  // namespace apprentice
