#include <catch2/catch.hpp>

#include <apprentice/kernels/lowbit_gemm.h>

#include "ternary_gemm_problem.h"

namespace apprentice {
namespace {

using kernels::TernaryGemm;
using test::TernaryGemmProblem;

template <class X>
void compare(int64_t m, int64_t n, int64_t k, uint64_t seed) {
  const auto* kernel = test::kernel_named<X>("_avx2_table");
  if (!kernel) return;
  TernaryGemmProblem<X> problem(m, n, k, 100, seed);
  if (!kernel->refuse(problem.args).empty()) return;
  for (const int threads : {1, 2}) {
    const test::Threads some(threads);
    INFO("m" << m << " n" << n << " k" << k << " threads " << threads);
    CHECK(bool(problem.run(*kernel) == problem.reference()));
  }
}

/// k around blocks of 24 columns and the 240 after which sums are widened, rows around 32, outputs
/// around 8.
template <class X>
void compare_sizes() {
  uint64_t seed = 0;
  for (const int64_t k : {0, 1, 23, 24, 25, 239, 240, 241, 480, 500}) {
    for (const int64_t m : {1, 8, 31, 32, 33, 64}) {
      for (const int64_t n : {1, 7, 8, 9, 20}) {
        if (++seed % 3 == 0) compare<X>(m, n, k, seed);
      }
    }
  }
}

}  // namespace

TEST_CASE("ternary GEMM by addressed tables equals the reference", "[lowbit]") {
  SECTION("u8") { compare_sizes<uint8_t>(); }
  SECTION("s8") { compare_sizes<int8_t>(); }
  SECTION("several chunks of outputs") { compare<uint8_t>(33, 4100, 50, 1); }
}

TEST_CASE("addressed tables leave few outputs and idle lanes to other kernels", "[lowbit]") {
  const auto* kernel = test::kernel_named<uint8_t>("_avx2_table");
  if (!kernel) return;  // it is for x86-64
  const auto reason = [&](int64_t m, int64_t n) {
    return kernel->yield(TernaryGemmProblem<uint8_t>(m, n, 24, 100, 1).args);
  };
  CHECK(reason(32, 256) == "");
  CHECK(reason(32, 255) == "255 outputs do not pay for tables");
  CHECK(reason(23, 256) == "23 rows leave lanes idle");
  CHECK(reason(24, 256) == "");
  CHECK(reason(33, 256) == "33 rows leave lanes idle");
}

}  // namespace apprentice
