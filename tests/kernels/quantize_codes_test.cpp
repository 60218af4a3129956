#include <catch2/catch.hpp>
#include <cmath>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize_codes.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

using kernels::QuantizeCodes;

/// The codes of every kernel here, the reference's last.
template <class Code>
std::vector<std::vector<Code>> codes_of(const std::vector<float>& x, float inv_step, int32_t low,
                                        int32_t high) {
  std::vector<std::vector<Code>> all;
  for (const auto& kernel : kernels::kernel_table<QuantizeCodes<Code>>().kernels()) {
    std::vector<Code> codes(x.size(), 99);
    const auto n = int64_t(x.size());
    const typename QuantizeCodes<Code>::Args args{
        {x.data(), {n}}, {codes.data(), {n}}, inv_step, low, high};
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    kernel.run(args, {});
    all.push_back(codes);
  }
  return all;
}

template <class Code>
void compare_kernels(int32_t low, int32_t high) {
  uint64_t seed = 0;
  for (const size_t n : {0, 1, 7, 15, 16, 17, 31, 33, 64, 100, 1000, 40000}) {
    const test::Threads threads(n == 40000 ? 2 : 1);
    Rng rng = test::problem_rng(++seed);
    std::vector<float> x(n);
    for (float& v : x) v = (rng.uniform() - 0.5f) * 1200.0f * 0.0371f;
    const auto all = codes_of<Code>(x, 1 / 0.0371f, low, high);
    for (const auto& codes : all) CHECK(bool(codes == all.back()));
  }
}

TEST_CASE("every quantize_codes kernel gives the reference's codes") {
  compare_kernels<uint8_t>(0, 255);
  compare_kernels<uint8_t>(0, 63);
  compare_kernels<int8_t>(-128, 127);
  compare_kernels<int8_t>(-7, 7);
}

TEST_CASE("quantize_codes rounds half to even, clamps, and makes NaN the lowest code") {
  const std::vector<float> x = {0.5f,   1.5f,  2.5f,   -0.5f, -1.5f,   -3.0f,
                                254.5f, 1e30f, -1e30f, NAN,   INFINITY};
  for (const auto& codes : codes_of<uint8_t>(x, 1, 0, 255)) {
    CHECK(codes == std::vector<uint8_t>{0, 2, 2, 0, 0, 0, 254, 255, 0, 0, 255});
  }
  for (const auto& codes : codes_of<int8_t>(x, 1, -2, 100)) {
    CHECK(codes == std::vector<int8_t>{0, 2, 2, 0, -2, -2, 100, 100, -2, -2, 100});
  }
}

}  // namespace
}  // namespace apprentice
