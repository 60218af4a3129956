#include <cmath>
#include <limits>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <simt/kernel_test.h>
#include <apprentice/kernels/cuda/round_to_bf16.cuh>

namespace apprentice {
namespace {

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

}  // namespace

KERNEL_TEST_CASE("rounding to bf16 gives the reference's bits, wherever the views begin") {
  const int64_t n = GENERATE(1, 3, 4, 5, 255, 1027);
  const int64_t x_at = GENERATE(0, 1), y_at = GENERATE(0, 2, 1);
  testing::Both<float> x(any_numbers(static_cast<size_t>(n) + 1));
  testing::Both<uint16_t> y(std::vector<uint16_t>(static_cast<size_t>(n) + 4, 7));
  const auto args = [&](const float* from, uint16_t* to) {
    return kernels::RoundToBf16::Args{{from + x_at, {n}}, {to + y_at, {n}}};
  };
  const std::array<int64_t, 1> all{1};
  kernels::launch<kernels::RoundToBf16>(args(x.host.data(), y.host.data()));
  kernels::SIMT_NS::round_to_bf16(args(x.on_device(all).data, y.on_device(all).data), nullptr);
  CHECK(y.got() == y.host);
}

KERNEL_TEST_CASE(
    "rounding to bf16 goes to the nearest, ties to even, and keeps what is no number") {
  const float infinity = std::numeric_limits<float>::infinity();
  // 1 + 2^-8 lies between 1 and 1 + 2^-7, 1 + 3 2^-8 between 1 + 2^-7 and 1 + 2^-6.
  const std::vector<float> given{1.0f + 0x1p-8f, 1.0f + 3 * 0x1p-8f, 1.0f + 0x1.1p-8f, -255.0f,
                                 3.4e38f,        -infinity,          std::nanf(""),    -0.0f};
  const std::vector<float> expected{1.0f,     1.0f + 0x1p-6f, 1.0f + 0x1p-7f, -255.0f,
                                    infinity, -infinity,      std::nanf(""),  -0.0f};
  testing::Both<float> x(given);
  testing::Both<uint16_t> y(std::vector<uint16_t>(given.size()));
  const std::array<int64_t, 1> n{int64_t(given.size())};
  kernels::SIMT_NS::round_to_bf16({x.on_device(n), y.on_device(n)}, nullptr);
  const auto got = y.got();
  for (size_t i = 0; i < given.size(); ++i) {
    const float value = simt::from_bf16(got[i]);
    CAPTURE(given[i], expected[i], value);
    CHECK((value == expected[i] || (std::isnan(value) && std::isnan(expected[i]))));
    CHECK((std::isnan(value) || std::signbit(value) == std::signbit(expected[i])));
  }
}

}  // namespace apprentice
