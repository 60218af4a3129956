#include <catch2/catch.hpp>

#include <apprentice/kernels/lowbit_gemm.h>

#include "ternary_gemm_problem.h"

namespace apprentice {
namespace {

using test::TernaryGemmProblem;

/// Every kernel: zero tiles are zeros to all.
template <class X>
void compare(int64_t m, int64_t n, int64_t k, uint32_t percent, uint64_t seed) {
  const test::Threads threads(seed % 8 == 0 ? 2 : 1);
  TernaryGemmProblem<X> problem(m, n, k, percent, seed);
  const auto expected = problem.reference();
  const auto& kernels = kernels::kernel_table<kernels::TernaryGemm<X>>().kernels();
  for (const auto& kernel : kernels) {
    if (kernel.refuse && !kernel.refuse(problem.args).empty()) continue;
    INFO(kernel.name << " m" << m << " n" << n << " k" << k << " tiles " << percent << " %");
    CHECK(bool(problem.run(kernel) == expected));
  }
}

template <class X>
void compare_sizes() {
  uint64_t seed = 0;
  for (const uint32_t percent : {0, 10, 50, 90}) {
    for (const int64_t m : {1, 8, 16, 17, 32, 33, 47, 49, 100}) {
      for (const int64_t n : {1, 15, 16, 17, 48}) {
        for (const int64_t k : {0, 1, 4, 5, 30, 64, 515}) {
          if (++seed % 7 == 0) compare<X>(m, n, k, percent, seed);
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("ternary GEMM of pruned weights equals the reference", "[lowbit]") {
  SECTION("u8") { compare_sizes<uint8_t>(); }
  SECTION("s8") { compare_sizes<int8_t>(); }
  SECTION("several blocks of rows") { compare<uint8_t>(400, 40, 4099, 30, 8); }
}

TEST_CASE("weights are multiplied tile by tile where enough tiles are zero", "[lowbit]") {
  const auto* kernel = test::kernel_named<uint8_t>("_vnni_pruned");
  if (!kernel) return;  // it is for x86-64
  TernaryGemmProblem<uint8_t> dense(64, 64, 256, 100, 1), sparse(64, 64, 256, 20, 1);
  CHECK(kernel->yield(dense.args) ==
        "100.0 % of the 4x16 tiles are not zero: multiplying all is faster for 64 rows");
  CHECK(kernel->yield(sparse.args) == "");
  const auto prepacked = kernel->prepack(sparse.args);
  CHECK(prepacked->bytes() < 256 * 64 / 2);
  sparse.args.prepacked = prepacked.get();
  sparse.args.weight.data = nullptr;  // the prepacked weights know it
  CHECK(kernel->yield(sparse.args) == "");
  sparse.args.x.sizes[0] = 1;  // reading the weights is all the work
  CHECK(kernel->yield(sparse.args) != "");
  sparse.args.two_step = true;
  CHECK(kernel->refuse(sparse.args) == "weights have two steps");
}

}  // namespace apprentice
