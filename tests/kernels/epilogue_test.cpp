#include <cmath>
#include <limits>

#include <catch2/catch.hpp>

#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>

#include "lowbit_problem.h"

namespace apprentice {
namespace {

using kernels::Epilogue;
using kernels::Requantize;

/// Codes that a kernel makes of accumulators [m, c] with one step and, if given, a shortcut.
template <class T>
auto requantize(const kernels::Kernel<Requantize<T>>& kernel, const std::vector<T>& acc,
                const std::vector<T>& negative, const Epilogue& epilogue,
                const std::vector<typename Requantize<T>::Code>& residual, int64_t c) {
  std::vector<typename Requantize<T>::Code> y(acc.size(), 111);
  const int64_t m = int64_t(acc.size()) / c;
  typename Requantize<T>::Args args;
  args.acc = {acc.data(), {m, c}};
  if (!negative.empty()) args.acc_negative = {negative.data(), {m, c}};
  args.epilogue = epilogue;
  if (!residual.empty()) args.residual = {residual.data(), {m, c}};
  args.y = {y.data(), {m, c}};
  kernel.run(args, {});
  return y;
}

}  // namespace

TEST_CASE("rounding to a code is half to even, clamped, and safe for any value", "[epilogue]") {
  using kernels::round_to_code;
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(round_to_code(0.5f, 255) == 0);
  CHECK(round_to_code(1.5f, 255) == 2);
  CHECK(round_to_code(2.5f, 255) == 2);
  CHECK(round_to_code(254.5f, 255) == 254);
  CHECK(round_to_code(255.5f, 255) == 255);
  CHECK(round_to_code(std::nextafter(0.5f, 1.0f), 255) == 1);
  CHECK(round_to_code(-0.6f, 255) == 0);
  CHECK(round_to_code(7.5f, 7) == 7);
  CHECK(round_to_code(1e30f, 15) == 15);
  CHECK(round_to_code(-1e30f, 15) == 0);
  CHECK(round_to_code(inf, 255) == 255);
  CHECK(round_to_code(-inf, 255) == 0);
  CHECK(round_to_code(std::nanf(""), 255) == 0);
}

TEST_CASE("folding gives the constants of its formula, each operation rounded once", "[epilogue]") {
  const std::vector<float> gamma = {1.5f, -0.3f}, beta = {0.1f, 2.0f}, mean = {0.7f, -3.0f},
                           var = {0.2f, 9.0f}, step = {0.037f}, steps = {0.037f, 0.11f};
  std::vector<float> a(2), b(2);
  kernels::FoldArgs args;
  args.weight_step = {step.data(), {1}};
  args.x_step = 0.013f;
  args.y_step = 0.021f;
  args.gamma = {gamma.data(), {2}};
  args.beta = {beta.data(), {2}};
  args.mean = {mean.data(), {2}};
  args.var = {var.data(), {2}};
  args.eps = 1e-3f;
  kernels::fold_epilogue(args, {a.data(), {2}}, {b.data(), {2}});
  for (size_t c = 0; c < 2; ++c) {
    const float variance = var[c] + 1e-3f, root = std::sqrt(variance), g = gamma[c] / root;
    const float w = 0.037f * 0.013f, wg = w * g;
    CHECK(a[c] == wg / 0.021f);
    CHECK(b[c] == std::fmaf(-mean[c], g, beta[c]) / 0.021f);
    // And near the real numbers: five roundings of 2^-24 each, more than that is a wrong formula.
    const double exact = double(gamma[c]) / std::sqrt(double(var[c]) + 1e-3f) * w / 0.021f;
    CHECK(a[c] == Approx(exact).epsilon(1e-6));
  }
  args.weight_step = {steps.data(), {2}};
  const float first = a[0], second = a[1];
  kernels::fold_epilogue(args, {a.data(), {2}}, {b.data(), {2}});
  CHECK(a[0] == first);
  CHECK(a[1] == Approx(second * 0.11f / 0.037f).epsilon(1e-6));
}

TEST_CASE("every requantize kernel gives the reference's code for every accumulator",
          "[epilogue]") {
  // t = acc * 2^-6 + b passes through every tie and through both ends of the codes.
  const int64_t c = 37;
  Epilogue e;
  std::vector<float> a(c, 0x1p-6f), b(c);
  for (size_t i = 0; i < b.size(); ++i) b[i] = float(int(i) % 5) * 0.25f - 0.5f;
  e.a = {a.data(), {c}};
  e.b = {b.data(), {c}};
  e.max_code = 255;
  std::vector<int32_t> acc;
  for (int32_t v = -2000; acc.size() < size_t(c) * 600; ++v) acc.push_back(v);
  for (const int32_t v : {INT32_MAX, INT32_MIN, 1 << 30, -(1 << 30), 1 << 24}) {
    acc.insert(acc.end(), size_t(c), v);
  }
  const std::vector<float> acc_f32(acc.begin(), acc.end());
  const auto& of_s32 = kernels::kernel_table<Requantize<int32_t>>().kernels();
  const auto& of_f32 = kernels::kernel_table<Requantize<float>>().kernels();
  const auto expected = requantize<int32_t>(of_s32.back(), acc, {}, e, {}, c);
  CHECK(expected[0] == 0);
  CHECK(expected[size_t(c) * 600] == 255);
  for (const auto& kernel : of_s32) {
    INFO(kernel.name);
    CHECK(bool(requantize<int32_t>(kernel, acc, {}, e, {}, c) == expected));
  }
  for (const auto& kernel : of_f32) {
    INFO(kernel.name);
    const auto got = requantize<float>(kernel, acc_f32, {}, e, {}, c);
    CHECK(bool(std::vector<uint8_t>(got.begin(), got.end()) == expected));
  }
}

TEST_CASE("requantize kernels agree bit for bit with shortcuts and two steps", "[epilogue]") {
  for (const int64_t c : {1, 3, 8, 15, 16, 17, 33, 64}) {
    for (const bool two_step : {false, true}) {
      for (const bool shortcut : {false, true}) {
        Rng rng = test::problem_rng(uint64_t(c * 4 + two_step * 2 + shortcut));
        const test::RandomEpilogue e(rng, c, 10000, two_step, c % 2 ? 255 : 15);
        std::vector<int32_t> acc(size_t(29 * c)), negative(two_step ? size_t(29 * c) : 0);
        for (int32_t& v : acc) v = int32_t(rng.below(400000)) - 100000;
        for (int32_t& v : negative) v = int32_t(rng.below(400000));
        const auto residual = test::random_bytes(rng, shortcut ? 29 * c : 0);
        const std::vector<float> acc_f32(acc.begin(), acc.end()),
            negative_f32(negative.begin(), negative.end()),
            residual_f32(residual.begin(), residual.end());
        const auto& of_s32 = kernels::kernel_table<Requantize<int32_t>>().kernels();
        const auto expected =
            requantize<int32_t>(of_s32.back(), acc, negative, e.view, residual, c);
        for (const auto& kernel : of_s32) {
          INFO(kernel.name << " c " << c << " two_step " << two_step << " shortcut " << shortcut);
          CHECK(bool(requantize<int32_t>(kernel, acc, negative, e.view, residual, c) == expected));
        }
        for (const auto& kernel : kernels::kernel_table<Requantize<float>>().kernels()) {
          INFO(kernel.name << " c " << c << " two_step " << two_step << " shortcut " << shortcut);
          const auto got =
              requantize<float>(kernel, acc_f32, negative_f32, e.view, residual_f32, c);
          CHECK(bool(std::vector<uint8_t>(got.begin(), got.end()) == expected));
        }
      }
    }
  }
}

TEST_CASE("the epilogue of two steps and a shortcut is its formula", "[epilogue]") {
  const float a = 0.5f, a_negative = 0.25f, b = 3.0f;
  Epilogue e;
  e.a = {&a, {1}};
  e.a_negative = {&a_negative, {1}};
  e.b = {&b, {1}};
  e.r = 2.0f;
  // 0.5 * 20 - 0.25 * 8 + 3 + 2 * 7 = 25
  const auto& reference = kernels::kernel_table<Requantize<int32_t>>().kernels().back();
  CHECK(requantize<int32_t>(reference, {20}, {8}, e, {7}, 1) == std::vector<uint8_t>{25});
}

}  // namespace apprentice
