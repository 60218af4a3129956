#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include <apprentice/kernels/lowbit_gemm.h>

#include "lowbit_problem.h"

namespace apprentice::test {

/// The kernel of ternary GEMM whose name ends like this, or null.
template <class X>
const kernels::Kernel<kernels::TernaryGemm<X>>* kernel_named(std::string_view end) {
  for (const auto& kernel : kernels::kernel_table<kernels::TernaryGemm<X>>().kernels()) {
    if (kernel.name.ends_with(end)) return &kernel;
  }
  return nullptr;
}

/// A random ternary GEMM into sums and codes, with a shortcut. Of its tiles of 4 columns by 16
/// outputs about `percent` are not zero.
template <class X>
struct TernaryGemmProblem {
  using Op = kernels::TernaryGemm<X>;
  struct Result {
    std::vector<int32_t> acc;
    std::vector<uint8_t> codes;
    friend bool operator==(const Result&, const Result&) = default;
  };

  TernaryGemmProblem(int64_t m, int64_t n, int64_t k, uint32_t percent, uint64_t seed)
      : rng(problem_rng(seed)),
        x(random_bytes(rng, m * k)),
        residual(random_bytes(rng, m * n)),
        bytes(size_t(n * kernels::packed_row_bytes(2, k))),
        epilogue(rng, n, k * 64, false, 200) {
    std::vector<int8_t> codes(static_cast<size_t>(n * k));
    for (int64_t row = 0; row < n; row += 16) {
      for (int64_t col = 0; col < k; col += 4) {
        const bool zero = rng.below(100) >= percent;
        for (int64_t r = row; r < std::min(n, row + 16); ++r) {
          for (int64_t c = col; c < std::min(k, col + 4); ++c) {
            codes[size_t(r * k + c)] = int8_t(zero ? 0 : int(rng.below(3)) - 1);
          }
        }
      }
    }
    kernels::pack_codes<2>({codes.data(), {n, k}}, bytes.data());
    args.x = {reinterpret_cast<const X*>(x.data()), {m, k}};
    args.weight = {bytes.data(), n, k};
    args.epilogue = epilogue.view;
    args.residual = {residual.data(), {m, n}};
  }

  /// Sums alone, then codes alone: kernels store them in different ways.
  Result run(const kernels::Kernel<Op>& kernel) {
    const int64_t m = args.x.size(0), n = args.weight.rows;
    Result result{std::vector<int32_t>(size_t(m * n), -7), std::vector<uint8_t>(size_t(m * n), 77)};
    auto own = args;
    const std::shared_ptr<const kernels::Prepacked> prepacked =
        kernel.prepack ? kernel.prepack(own) : nullptr;
    own.prepacked = prepacked.get();
    own.acc = {result.acc.data(), {m, n}};
    kernel.run(own, {});
    own.acc = {};
    own.y = {result.codes.data(), {m, n}};
    kernel.run(own, {});
    return result;
  }
  Result reference() { return run(kernels::kernel_table<Op>().kernels().back()); }

  Rng rng;
  std::vector<uint8_t> x, residual, bytes;
  RandomEpilogue epilogue;
  typename Op::Args args;
};

}  // namespace apprentice::test
