#include <cmath>
#include <cstring>

#include <catch2/catch.hpp>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/kernels/ordered_pool.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

std::vector<float> random_floats(Rng& rng, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = rng.normal();
  return values;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  if (a.size() != b.size()) return false;
  return a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

/// fn(kernel, args) for every kernel that this processor runs, those that pack their weights on
/// weights packed before, too.
template <class Op, class Fn>
void for_kernels(const typename Op::Args& args, Fn fn) {
  for (const auto& kernel : kernels::kernel_table<Op>().kernels()) {
    if (kernel.refuse && !kernel.refuse(args).empty()) continue;
    fn(kernel, args);
    if constexpr (requires { args.prepacked; }) {
      if (!kernel.prepack) continue;
      const auto prepacked = kernel.prepack(args);
      CHECK(prepacked->bytes() >= args.w.numel() * int64_t(sizeof(float)));
      auto packed = args;
      packed.prepacked = prepacked.get();
      packed.w.data = nullptr;
      fn(kernel, packed);
    }
  }
}

struct ConvSizes {
  int64_t n, h, w, in, out, kernel, stride, padding, dilation;
};

void compare_conv(const ConvSizes& s, uint64_t seed) {
  using kernels::OrderedConv2d;
  const test::Threads threads(seed % 8 == 0 ? 2 : 1);
  Rng rng = test::problem_rng(seed);
  const auto x = random_floats(rng, s.n * s.h * s.w * s.in);
  const auto w = random_floats(rng, s.out * s.kernel * s.kernel * s.in);
  const test::RandomEpilogue epilogue(rng, s.out, 1, false, 255);
  OrderedConv2d::Args args;
  args.x = {x.data(), {s.n, s.h, s.w, s.in}};
  args.w = {w.data(), {s.out, s.kernel, s.kernel, s.in}};
  args.geometry.stride = {s.stride, s.stride};
  args.geometry.padding = {s.padding, s.padding};
  args.geometry.dilation = {s.dilation, s.dilation};
  args.epilogue = epilogue.view;
  const int64_t p = args.geometry.out_size(0, s.h, s.kernel);
  const int64_t q = args.geometry.out_size(1, s.w, s.kernel);
  if (p <= 0 || q <= 0) return;
  const auto count = size_t(s.n * p * q * s.out);
  std::vector<float> sums(count), expected_sums(count);
  std::vector<uint8_t> codes(count), expected_codes(count);
  args.sums = {expected_sums.data(), {s.n, p, q, s.out}};
  args.y = {expected_codes.data(), {s.n, p, q, s.out}};
  kernels::kernel_table<OrderedConv2d>().kernels().back().run(args, {});
  args.sums.data = sums.data();
  args.y.data = codes.data();
  for_kernels<OrderedConv2d>(args, [&](const auto& kernel, const auto& each) {
    std::fill(sums.begin(), sums.end(), -1.0f);
    std::fill(codes.begin(), codes.end(), uint8_t(77));
    kernel.run(each, {});
    INFO(kernel.name << " " << s.h << "x" << s.w << "x" << s.in << " -> " << s.out << " kernel "
                     << s.kernel << " stride " << s.stride << " padding " << s.padding
                     << " dilation " << s.dilation);
    CHECK(same_bits(sums, expected_sums));
    CHECK(bool(codes == expected_codes));
  });
}

}  // namespace

TEST_CASE("every ordered convolution gives the reference's bits", "[ordered]") {
  uint64_t seed = 0;
  for (int64_t size = 1; size <= 9; ++size) {
    for (const int64_t stride : {1, 2}) {
      for (const int64_t padding : {0, 1, 2}) {
        for (const int64_t kernel : {1, 3, 5}) {
          ++seed;
          const int64_t out = seed % 4 == 0 ? 16 : 1 + int64_t(seed * 7 % 36);
          compare_conv({1 + int64_t(seed % 2), size, 1 + size * 5 % 9, 1 + int64_t(seed % 4), out,
                        kernel, stride, padding, 1},
                       seed);
        }
      }
    }
  }
  compare_conv({2, 32, 32, 3, 16, 3, 1, 1, 1}, 1000);
  compare_conv({1, 23, 31, 3, 20, 7, 2, 3, 1}, 1001);
  compare_conv({1, 12, 29, 2, 5, 3, 1, 2, 2}, 1002);
  // Register blocks of every number of vectors and pixels, on one thread and shared by two.
  for (const int64_t out : {16, 17, 32, 40, 64, 130}) {
    for (const int64_t size : {15, 30, 52}) {
      compare_conv({2, size, size + 1, 3, out, 7, 2, 3, 1}, uint64_t(8 * size + out % 2));
      compare_conv({1, size / 2, size, 3, out, 3, 1, 1, 1}, uint64_t(8 * size + out / 16 % 2));
    }
  }
}

TEST_CASE("the ordered convolution adds taps in their order and skips those outside", "[ordered]") {
  using kernels::OrderedConv2d;
  // 3 pixels of one channel under a window of 3, padding 1. In this order 2^24 + 1 + 1 = 2^24 in
  // f32.
  const std::vector<float> x = {0x1p24f, 1, 1}, w = {1, 1, 1};
  std::vector<float> sums(3);
  OrderedConv2d::Args args;
  args.x = {x.data(), {1, 1, 3, 1}};
  args.w = {w.data(), {1, 1, 3, 1}};
  args.geometry.padding = {0, 1};
  args.sums = {sums.data(), {1, 1, 3, 1}};
  for_kernels<OrderedConv2d>(args, [&](const auto& kernel, const auto& each) {
    kernel.run(each, {});
    INFO(kernel.name);
    CHECK(sums == std::vector<float>{0x1p24f, 0x1p24f, 2});
  });
}

TEST_CASE("every ordered affine map gives the reference's bits", "[ordered]") {
  using kernels::OrderedLinear;
  for (const int64_t m : {0, 1, 7, 8, 33, 70}) {
    for (const int64_t n : {1, 10, 16, 33}) {
      for (const int64_t k : {0, 1, 64, 65}) {
        Rng rng = test::problem_rng(uint64_t(m * 10000 + n * 100 + k));
        const auto x = random_floats(rng, m * k), w = random_floats(rng, n * k),
                   bias = random_floats(rng, n);
        std::vector<float> y(size_t(m * n)), expected(size_t(m * n));
        OrderedLinear::Args args;
        args.x = {x.data(), {m, k}};
        args.w = {w.data(), {n, k}};
        if (n != 16) args.bias = {bias.data(), {n}};
        args.y = {expected.data(), {m, n}};
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t j = 0; j < n; ++j) {
            float sum = n != 16 ? bias[size_t(j)] : 0;
            for (int64_t l = 0; l < k; ++l) {
              sum = std::fmaf(x[size_t(i * k + l)], w[size_t(j * k + l)], sum);
            }
            expected[size_t(i * n + j)] = sum;
          }
        }
        args.y = {y.data(), {m, n}};
        for_kernels<OrderedLinear>(args, [&](const auto& kernel, const auto& each) {
          std::fill(y.begin(), y.end(), -1.0f);
          kernel.run(each, {});
          INFO(kernel.name << " m" << m << " n" << n << " k" << k);
          CHECK(same_bits(y, expected));
        });
      }
    }
  }
}

TEST_CASE("pooling codes is the s32 sum times one constant, for u8 and f32 codes", "[ordered]") {
  using kernels::OrderedPool;
  for (const int64_t c : {1, 17, 64, 100}) {
    const int64_t n = 3, h = 7, w = 5;
    Rng rng = test::problem_rng(uint64_t(c));
    const auto codes = test::random_bytes(rng, n * h * w * c);
    const std::vector<float> reals(codes.begin(), codes.end());
    const float step = 0.0137f, factor = step / 35.0f;
    std::vector<float> expected(size_t(n * c)), y(size_t(n * c));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < c; ++j) {
        int32_t sum = 0;
        for (int64_t k = 0; k < h * w; ++k) sum += codes[size_t((i * h * w + k) * c + j)];
        expected[size_t(i * c + j)] = float(sum) * factor;
      }
    }
    const OrderedPool<uint8_t>::Args of_u8{{codes.data(), {n, h, w, c}}, step, {y.data(), {n, c}}};
    for_kernels<OrderedPool<uint8_t>>(of_u8, [&](const auto& kernel, const auto& each) {
      std::fill(y.begin(), y.end(), -1.0f);
      kernel.run(each, {});
      INFO(kernel.name << " c " << c);
      CHECK(same_bits(y, expected));
    });
    const OrderedPool<float>::Args of_f32{{reals.data(), {n, h, w, c}}, step, {y.data(), {n, c}}};
    for_kernels<OrderedPool<float>>(of_f32, [&](const auto& kernel, const auto& each) {
      std::fill(y.begin(), y.end(), -1.0f);
      kernel.run(each, {});
      INFO(kernel.name << " c " << c);
      CHECK(same_bits(y, expected));
    });
  }
}

}  // namespace apprentice
