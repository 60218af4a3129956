#include <catch2/catch.hpp>

#include <apprentice/kernels/lowbit_gemm.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

using kernels::LowbitGemm;

struct Result {
  std::vector<int32_t> acc, negative;
  std::vector<uint8_t> codes;
  friend bool operator==(const Result&, const Result&) = default;
};

template <class X, int Bits>
class Problem {
 public:
  using Op = LowbitGemm<X, Bits>;

  Problem(int64_t m, int64_t n, int64_t k, bool two_step, uint64_t seed)
      : rng_(test::problem_rng(seed)),
        x_(test::random_bytes(rng_, m * k)),
        residual_(test::random_bytes(rng_, m * n)),
        weight_(rng_, n, k),
        epilogue_(rng_, n, k * 64, two_step, 200) {
    args_.x = {reinterpret_cast<const X*>(x_.data()), {m, k}};
    args_.weight = weight_.packed;
    args_.two_step = two_step;
    args_.epilogue = epilogue_.view;
    if (seed % 2) args_.residual = {residual_.data(), {m, n}};
  }

  Result run(const kernels::Kernel<Op>& kernel) {
    const int64_t m = args_.x.size(0), n = args_.weight.rows;
    const auto count = size_t(m * n);
    Result result{std::vector<int32_t>(count, -7), std::vector<int32_t>(count, -7),
                  std::vector<uint8_t>(count, 77)};
    auto args = args_;
    args.acc = {result.acc.data(), {m, n}};
    if (args.two_step) args.acc_negative = {result.negative.data(), {m, n}};
    args.y = {result.codes.data(), {m, n}};
    const auto prepacked = kernel.prepack(args);
    args.prepacked = prepacked.get();
    kernel.run(args, {});
    return result;
  }
  typename Op::Args& args() { return args_; }

 private:
  Rng rng_;
  std::vector<uint8_t> x_, residual_;
  test::RandomCodes<Bits> weight_;
  test::RandomEpilogue epilogue_;
  typename Op::Args args_;
};

template <class X, int Bits>
void compare_kernels() {
  uint64_t seed = 0;
  for (const int64_t m : {0, 1, 2, 3, 13, 57, 113}) {
    for (const int64_t n : {1, 8, 17, 33, 64, 100}) {
      for (const int64_t k : {1, 3, 16, 33, 100, 577}) {
        ++seed;
        const test::Threads threads(seed % 8 == 0 ? 2 : 1);
        Problem<X, Bits> problem(m, n, k, Bits == 2 && seed % 3 == 0, seed);
        const auto& kernels = kernels::kernel_table<LowbitGemm<X, Bits>>().kernels();
        const Result expected = problem.run(kernels.back());
        for (const auto& kernel : kernels) {
          if (kernel.refuse && !kernel.refuse(problem.args()).empty()) continue;
          INFO(kernel.name << " m" << m << " n" << n << " k" << k << " seed " << seed);
          CHECK(bool(problem.run(kernel) == expected));
        }
      }
    }
  }
}

}  // namespace

TEST_CASE("ternary and 4-bit GEMM equal their reference", "[lowbit]") {
  SECTION("u8, ternary") { compare_kernels<uint8_t, 2>(); }
  SECTION("u8, 4-bit") { compare_kernels<uint8_t, 4>(); }
  SECTION("s8, ternary") { compare_kernels<int8_t, 2>(); }
  SECTION("s8, 4-bit") { compare_kernels<int8_t, 4>(); }
}

TEST_CASE("low-bit GEMM of extreme signed codes is exact, without saturation", "[lowbit]") {
  const int64_t k = 1000, n = 9;
  for (const int x_value : {-128, 127}) {
    for (const int code : {-8, 7}) {
      const auto x = std::vector<int8_t>(size_t(k), int8_t(x_value));
      const test::RandomCodes<4> weight(int8_t(code), n, k);
      LowbitGemm<int8_t, 4>::Args args;
      args.x = {x.data(), {1, k}};
      args.weight = weight.packed;
      for (const auto& kernel : kernels::kernel_table<LowbitGemm<int8_t, 4>>().kernels()) {
        if (kernel.refuse && !kernel.refuse(args).empty()) continue;
        std::vector<int32_t> acc(static_cast<size_t>(n), 0);
        args.acc = {acc.data(), {1, n}};
        kernel.run(args, {});
        INFO(kernel.name << " x " << x_value << " code " << code);
        CHECK(acc == std::vector<int32_t>(size_t(n), int32_t(k * x_value * code)));
      }
    }
  }
}

TEST_CASE("the reference GEMM sums the products that its formula names", "[lowbit]") {
  const std::vector<int8_t> x = {10, -20, 30, 1, 2, 3};
  const std::vector<int8_t> codes = {1, -1, 0, 0, 1, 1};
  std::vector<uint8_t> packed(2);
  kernels::pack_codes<2>({codes.data(), {2, 3}}, packed.data());
  std::vector<int32_t> acc(4), negative(4);
  LowbitGemm<int8_t, 2>::Args args;
  args.x = {x.data(), {2, 3}};
  args.weight = {packed.data(), 2, 3};
  args.acc = {acc.data(), {2, 2}};
  const auto& reference = kernels::kernel_table<LowbitGemm<int8_t, 2>>().kernels().back();
  REQUIRE(reference.name == "ternary_gemm_s8w2_cpu_reference");
  reference.run(args, {});
  CHECK(acc == std::vector<int32_t>{30, 10, -1, 5});
  args.two_step = true;
  args.acc_negative = {negative.data(), {2, 2}};
  reference.run(args, {});
  CHECK(acc == std::vector<int32_t>{10, 10, 1, 5});
  CHECK(negative == std::vector<int32_t>{-20, 0, 2, 0});
}

}  // namespace apprentice
