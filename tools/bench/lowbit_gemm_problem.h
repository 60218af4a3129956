#pragma once

#include <map>

#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/tools/bench/lowbit.h>

namespace apprentice::tools {

/// A low-bit GEMM of random codes into s32.
template <class X, int Bits>
struct LowbitGemmProblem {
  using Op = kernels::LowbitGemm<X, Bits>;

  explicit LowbitGemmProblem(const BenchShape& s) {
    const int64_t m = s.at("m"), n = s.at("n"), k = s.at("k");
    std::mt19937 random(1);
    x.resize(size_t(m * k));
    for (X& code : x) code = X(random());
    weight = random_codes<Bits>(n, k, random);
    acc.resize(size_t(m * n));
    args.x = {x.data(), {m, k}};
    args.weight = {weight.data(), n, k};
    args.acc = {acc.data(), {m, n}};
  }

  double operations() const { return 2.0 * double(acc.size()) * double(args.weight.cols); }
  double bytes() const { return double(x.size() + weight.size() + 4 * acc.size()); }

  /// Against the reference kernel, on the first row and the last.
  std::string compare() {
    for (const int64_t row : {int64_t(0), args.x.size(0) - 1}) {
      auto& expected = expected_[row];
      if (expected.empty()) {
        expected.resize(size_t(args.acc.size(1)));
        auto one = args;
        one.x.data += row * args.x.size(1);
        one.x.sizes[0] = one.acc.sizes[0] = 1;
        one.acc.data = expected.data();
        kernels::kernel_table<Op>().kernels().back().run(one, {});
      }
      const std::string wrong = compare_codes(acc.data() + row * args.acc.size(1), expected);
      if (!wrong.empty()) return fmt::format("row {}: {}", row, wrong);
    }
    return "";
  }

  std::vector<X> x;
  std::vector<uint8_t> weight;
  std::vector<int32_t> acc;
  typename Op::Args args;

 private:
  std::map<int64_t, std::vector<int32_t>> expected_;  ///< by row
};

}  // namespace apprentice::tools
