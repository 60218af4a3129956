#include <catch2/catch.hpp>
#include <cmath>
#include <limits>

#include <apprentice/kernels/lowbit_gemm.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

using kernels::LowbitGemm;

struct Result {
  std::vector<int32_t> acc, negative;
  std::vector<uint8_t> codes;
  std::vector<float> values;
  friend bool operator==(const Result&, const Result&) = default;
};

/// What of a problem is asked for.
struct Wish {
  bool two_step = false, acc = true, codes = true, residual = false, prepacked = true;
  bool real = false, shifted = true;  ///< with groups: a b
  int64_t group_size = 0;
};

std::vector<float> random_floats(Rng& rng, int64_t count, float low, float high) {
  std::vector<float> all(static_cast<size_t>(count));
  for (float& v : all) v = low + (high - low) * rng.uniform();
  return all;
}

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
    if (wish.real) quantize(m, k);
    if (wish.group_size > 0) scale_groups(n, k);
  }

  Result run(const kernels::Kernel<Op>& kernel) {
    const int64_t m = args_.rows(), n = args_.weight.rows;
    const auto count = size_t(m * n);
    Result result{std::vector<int32_t>(count, -7), std::vector<int32_t>(count, -7),
                  std::vector<uint8_t>(count, 77), std::vector<float>(count, -7)};
    auto args = args_;
    if (wish_.group_size > 0 && wish_.acc) {
      args.value = {result.values.data(), {m, n}};
    } else if (wish_.acc) {
      args.acc = {result.acc.data(), {m, n}};
    }
    if (args.acc && args.two_step) args.acc_negative = {result.negative.data(), {m, n}};
    if (wish_.codes) args.y = {result.codes.data(), {m, n}};
    std::shared_ptr<const kernels::Prepacked> prepacked;
    if (wish_.prepacked) prepacked = kernel.prepack(args);
    args.prepacked = prepacked.get();
    kernel.run(args, {});
    return result;
  }
  typename Op::Args& args() { return args_; }

 private:
  /// Real activations within and beyond the codes.
  void quantize(int64_t m, int64_t k) {
    args_.grid.min_code = std::is_signed_v<X> ? -100 : 0;
    args_.grid.max_code = std::is_signed_v<X> ? 101 : 203;
    args_.grid.inv_step = 1 / 0.0371f;
    real_ = random_floats(rng_, m * k + 1, -10, 10);
    args_.x = {};
    args_.real_x = {real_.data(), {m, k}};
  }
  void scale_groups(int64_t n, int64_t k) {
    const int64_t groups = (k + wish_.group_size - 1) / wish_.group_size;
    group_a_ = random_floats(rng_, groups * n, -0.01f, 0.02f);
    group_a_negative_ = random_floats(rng_, groups * n, -0.01f, 0.02f);
    args_.group_size = wish_.group_size;
    args_.group_a = {group_a_.data(), {groups, n}};
    if (wish_.two_step) args_.group_a_negative = {group_a_negative_.data(), {groups, n}};
    if (!wish_.shifted) args_.epilogue.b = {};
  }

  Wish wish_;
  Rng rng_;
  std::vector<float> real_, group_a_, group_a_negative_;
  std::vector<uint8_t> x_, residual_;
  test::RandomCodes<Bits> weight_;
  test::RandomEpilogue epilogue_;
  typename Op::Args args_;
};

Wish random_wish(Rng& rng, bool ternary) {
  const auto one_in = [&](uint32_t count) { return rng.below(count) == 0; };
  constexpr int64_t kGroups[] = {8, 16, 32, 48, 128, 5, 1000};
  Wish wish;
  wish.two_step = ternary && one_in(3);
  wish.acc = !one_in(3);
  wish.codes = !wish.acc || one_in(2);
  wish.residual = one_in(2);
  wish.prepacked = one_in(2);
  wish.real = one_in(3);
  wish.shifted = one_in(2);
  if (one_in(3)) wish.group_size = kGroups[rng.below(7)];
  return wish;
}

/// Every kernel on one problem, whose wishes and threads follow from the seed.
template <class X, int Bits>
void compare(int64_t m, int64_t n, int64_t k, uint64_t seed) {
  Rng rng = test::problem_rng(seed + 1000000);
  const Wish wish = random_wish(rng, Bits == 2);
  const test::Threads threads(rng.below(8) == 0 ? 2 : 1);
  Problem<X, Bits> problem(m, n, k, wish, seed);
  const auto& kernels = kernels::kernel_table<LowbitGemm<X, Bits>>().kernels();
  const Result expected = problem.run(kernels.back());
  for (const auto& kernel : kernels) {
    if (kernel.refuse && !kernel.refuse(problem.args()).empty()) continue;
    INFO(kernel.name << " m" << m << " n" << n << " k" << k << " groups of " << wish.group_size
                     << " seed " << seed);
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

/// What every kernel makes of `rows` equal rows of reals by unit weights: their codes.
template <class X>
void check_codes_of(const std::vector<float>& x, const kernels::CodeGrid& grid, int64_t rows,
                    const std::vector<int32_t>& expected) {
  const auto k = int64_t(x.size());
  std::vector<float> all;
  for (int64_t i = 0; i < rows; ++i) all.insert(all.end(), x.begin(), x.end());
  std::vector<int8_t> unit(size_t(k * k), 0);
  for (int64_t i = 0; i < k; ++i) unit[size_t(i * k + i)] = 1;
  std::vector<uint8_t> packed(size_t(k * kernels::packed_row_bytes(2, k)));
  kernels::pack_codes<2>({unit.data(), {k, k}}, packed.data());
  typename LowbitGemm<X, 2>::Args args;
  args.real_x = {all.data(), {rows, k}};
  args.grid = grid;
  args.weight = {packed.data(), k, k};
  for (const auto& kernel : kernels::kernel_table<LowbitGemm<X, 2>>().kernels()) {
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    std::vector<int32_t> acc(size_t(rows * k), 99);
    args.acc = {acc.data(), {rows, k}};
    kernel.run(args, {});
    for (int64_t i = 0; i < rows; ++i) {
      INFO(kernel.name << " row " << i << " of " << rows);
      CHECK(std::vector<int32_t>(&acc[size_t(i * k)], &acc[size_t(i * k)] + k) == expected);
    }
  }
}

TEST_CASE(
    "low-bit GEMM rounds real activations half to even, clamps them, and makes NaN the lowest code",
    "[lowbit]") {
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> x = {0.5f,   1.5f,  2.5f,   -0.5f, -1.5f,   -3.0f,
                                254.5f, 1e30f, -1e30f, NAN,   infinity};
  for (const int64_t rows : {1, 2, 13}) {
    check_codes_of<uint8_t>(x, {1, 0, 255}, rows, {0, 2, 2, 0, 0, 0, 254, 255, 0, 0, 255});
    check_codes_of<uint8_t>(x, {2, 1, 4}, rows, {1, 3, 4, 1, 1, 1, 4, 4, 1, 1, 4});
    check_codes_of<int8_t>(x, {1, -2, 100}, rows, {0, 2, 2, 0, -2, -2, 100, 100, -2, -2, 100});
    check_codes_of<int8_t>(x, {1, -128, 127}, rows,
                           {0, 2, 2, 0, -2, -3, 127, 127, -128, -128, 127});
  }
}

/// One output of 48 columns in groups of 16: sums 16, 32 and 48 of x = 1, 2, 3.
TEST_CASE("low-bit GEMM adds the scaled sums of groups in ascending order", "[lowbit]") {
  const std::vector<int8_t> codes(48, 1);
  std::vector<uint8_t> packed(12), x(48);
  for (size_t k = 0; k < x.size(); ++k) x[k] = uint8_t(1 + k / 16);
  kernels::pack_codes<2>({codes.data(), {1, 48}}, packed.data());
  // 16 * 2^20 + 0.5 * 2^-20 is lost in rounding; from the other end it would not be.
  const std::vector<float> scales = {0x1p20f, 0x1p-26f, -0x1.555556p18f};
  const float b = 0.25f;
  float expected = b;
  for (int g = 0; g < 3; ++g)
    expected = std::fmaf(float(16 * (g + 1)), scales[size_t(g)], expected);
  float descending = b;
  for (int g = 2; g >= 0; --g) {
    descending = std::fmaf(float(16 * (g + 1)), scales[size_t(g)], descending);
  }
  REQUIRE(expected != descending);
  LowbitGemm<uint8_t, 2>::Args args;
  args.x = {x.data(), {1, 48}};
  args.weight = {packed.data(), 1, 48};
  args.group_size = 16;
  args.group_a = {scales.data(), {3, 1}};
  args.epilogue.b = {&b, {1}};
  for (const auto& kernel : kernels::kernel_table<LowbitGemm<uint8_t, 2>>().kernels()) {
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    float value = -7;
    args.value = {&value, {1, 1}};
    kernel.run(args, {});
    INFO(kernel.name);
    CHECK(value == expected);
  }
}

TEST_CASE("groups that end within a block of weights are the reference's alone", "[lowbit]") {
  const std::vector<uint8_t> x(40), packed(10);
  const std::vector<float> scales(2);
  LowbitGemm<uint8_t, 2>::Args args;
  args.x = {x.data(), {1, 40}};
  args.weight = {packed.data(), 1, 40};
  args.group_size = 20;
  args.group_a = {scales.data(), {2, 1}};
  const auto& kernels = kernels::kernel_table<LowbitGemm<uint8_t, 2>>();
  CHECK(kernels.select(args).family == "reference");
  for (const auto& kernel : kernels.kernels()) {
    if (kernel.name != "ternary_gemm_u8w2_cpu_avx2") continue;
    const std::string reason = kernel.refuse(args);
    CHECK((reason == "groups have 20 columns, expected a multiple of 16" ||
           reason == "this CPU has no AVX2"));
  }
}

TEST_CASE("short rows of low-bit GEMM unpack their weights once from 256 rows on", "[lowbit]") {
  const test::RandomCodes<4> weight(1, 16, 512);
  const std::vector<uint8_t> x(256 * 512);
  LowbitGemm<uint8_t, 4>::Args args;
  args.weight = weight.packed;
  for (const int64_t rows : {255, 256}) {
    args.x = {x.data(), {rows, 512}};
    for (const auto& kernel : kernels::kernel_table<LowbitGemm<uint8_t, 4>>().kernels()) {
      if (kernel.name != "int4_gemm_u8w4_cpu_vnni") continue;
      const bool named =
          kernel.yield(args) == "many short rows share weights that were unpacked once";
      const bool here = kernel.yield(args) != "this CPU unpacks in the units of vpdpbusd";
      CHECK(named == (here && rows == 256));
    }
  }
}

}  // namespace apprentice
