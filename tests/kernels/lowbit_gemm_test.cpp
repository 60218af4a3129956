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

/// What of a problem is asked for.
struct Wish {
  bool two_step = false, acc = true, codes = true, residual = false, prepacked = true;
};

template <class X, int Bits>
class Problem {
 public:
  using Op = LowbitGemm<X, Bits>;

  Problem(int64_t m, int64_t n, int64_t k, const Wish& wish, uint64_t seed)
      : wish_(wish),
        rng_(test::problem_rng(seed)),
        x_(test::random_bytes(rng_, m * k)),
        residual_(test::random_bytes(rng_, m * n)),
        weight_(rng_, n, k),
        epilogue_(rng_, n, k * 64, wish.two_step, 200) {
    args_.x = {reinterpret_cast<const X*>(x_.data()), {m, k}};
    args_.weight = weight_.packed;
    args_.two_step = wish.two_step;
    args_.epilogue = epilogue_.view;
    if (wish.residual) args_.residual = {residual_.data(), {m, n}};
  }

  Result run(const kernels::Kernel<Op>& kernel) {
    const int64_t m = args_.x.size(0), n = args_.weight.rows;
    const auto count = size_t(m * n);
    Result result{std::vector<int32_t>(count, -7), std::vector<int32_t>(count, -7),
                  std::vector<uint8_t>(count, 77)};
    auto args = args_;
    if (wish_.acc) args.acc = {result.acc.data(), {m, n}};
    if (wish_.acc && args.two_step) args.acc_negative = {result.negative.data(), {m, n}};
    if (wish_.codes) args.y = {result.codes.data(), {m, n}};
    std::shared_ptr<const kernels::Prepacked> prepacked;
    if (wish_.prepacked) prepacked = kernel.prepack(args);
    args.prepacked = prepacked.get();
    kernel.run(args, {});
    return result;
  }
  typename Op::Args& args() { return args_; }

 private:
  Wish wish_;
  Rng rng_;
  std::vector<uint8_t> x_, residual_;
  test::RandomCodes<Bits> weight_;
  test::RandomEpilogue epilogue_;
  typename Op::Args args_;
};

/// Every kernel on one problem, whose wishes and threads follow from the seed.
template <class X, int Bits>
void compare(int64_t m, int64_t n, int64_t k, uint64_t seed) {
  Rng rng = test::problem_rng(seed + 1000000);
  const auto one_in = [&](uint32_t count) { return rng.below(count) == 0; };
  Wish wish;
  wish.two_step = Bits == 2 && one_in(3);
  wish.acc = !one_in(3);
  wish.codes = !wish.acc || one_in(2);
  wish.residual = one_in(2);
  wish.prepacked = one_in(2);
  const test::Threads threads(one_in(8) ? 2 : 1);
  Problem<X, Bits> problem(m, n, k, wish, seed);
  const auto& kernels = kernels::kernel_table<LowbitGemm<X, Bits>>().kernels();
  const Result expected = problem.run(kernels.back());
  for (const auto& kernel : kernels) {
    if (kernel.refuse && !kernel.refuse(problem.args()).empty()) continue;
    INFO(kernel.name << " m" << m << " n" << n << " k" << k << " seed " << seed);
    CHECK(bool(problem.run(kernel) == expected));
  }
}

/// Sizes at the edges of tiles, panels, blocks and pieces; a third of all combinations.
template <class X, int Bits>
void compare_at_edges() {
  uint64_t seed = 0;
  for (const int64_t m : {0, 1, 2, 3, 4, 5, 6, 7, 14, 15, 29, 57}) {
    for (const int64_t n : {1, 8, 15, 16, 17, 33, 64, 65}) {
      for (const int64_t k : {1, 3, 15, 16, 17, 33, 256, 513}) {
        if (++seed % 3 == 0) compare<X, Bits>(m, n, k, seed);
      }
    }
  }
}

template <class X, int Bits>
void compare_at_random() {
  Rng rng = test::problem_rng(7);
  for (uint64_t seed = 5000; seed < 5400; ++seed) {
    const auto m = 1 + int64_t(rng.below(70)), n = 1 + int64_t(rng.below(70));
    compare<X, Bits>(m, n, 1 + int64_t(rng.below(70)), seed);
  }
}

/// Rows and columns enough for several blocks of rows, whose length calls for copies.
template <class X, int Bits>
void compare_large() {
  compare<X, Bits>(131, 33, 4096, 6000);
  compare<X, Bits>(300, 17, 2053, 6001);
  compare<X, Bits>(5, 130, 4096, 6002);
}

template <class X, int Bits>
void compare_kernels() {
  compare_at_edges<X, Bits>();
  compare_at_random<X, Bits>();
  compare_large<X, Bits>();
}

}  // namespace

TEST_CASE("ternary and 4-bit GEMM equal their reference", "[lowbit]") {
  SECTION("u8, ternary") { compare_kernels<uint8_t, 2>(); }
  SECTION("u8, 4-bit") { compare_kernels<uint8_t, 4>(); }
  SECTION("s8, ternary") { compare_kernels<int8_t, 2>(); }
  SECTION("s8, 4-bit") { compare_kernels<int8_t, 4>(); }
}

/// Rows of one value by rows of one code: no partial sum may saturate.
template <class X, int Bits>
void compare_extreme(X x_value, int8_t code) {
  const int64_t k = 1000, n = 9;
  for (const int64_t m : {1, 5, 20}) {
    const auto x = std::vector<X>(size_t(m * k), x_value);
    const test::RandomCodes<Bits> weight(code, n, k);
    typename LowbitGemm<X, Bits>::Args args;
    args.x = {x.data(), {m, k}};
    args.weight = weight.packed;
    for (const auto& kernel : kernels::kernel_table<LowbitGemm<X, Bits>>().kernels()) {
      if (kernel.refuse && !kernel.refuse(args).empty()) continue;
      std::vector<int32_t> acc(size_t(m * n), 0);
      args.acc = {acc.data(), {m, n}};
      kernel.run(args, {});
      INFO(kernel.name << " m " << m << " x " << int(x_value) << " code " << int(code));
      CHECK(acc == std::vector<int32_t>(size_t(m * n), int32_t(k * x_value * code)));
    }
  }
}

TEST_CASE("low-bit GEMM of extreme codes is exact, without saturation", "[lowbit]") {
  for (const int8_t x : {-128, 127}) {
    for (const int8_t code : {-8, 7}) compare_extreme<int8_t, 4>(x, code);
    for (const int8_t code : {-1, 1}) compare_extreme<int8_t, 2>(x, code);
  }
  for (const int8_t code : {-8, 7}) compare_extreme<uint8_t, 4>(255, code);
  for (const int8_t code : {-1, 1}) compare_extreme<uint8_t, 2>(255, code);
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
