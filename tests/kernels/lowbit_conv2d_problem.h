#pragma once

#include <catch2/catch.hpp>

#include <apprentice/kernels/lowbit_conv2d.h>

#include "lowbit_problem.h"

namespace apprentice::test {

/// Sizes of one convolution; everything else of a problem follows from these and the seed.
struct Sizes {
  int64_t n, h, w, in, out, kernel, stride, padding, dilation;
  bool two_step;
  int32_t max_x = 255;  ///< of x, and the largest output code
};

/// What a kernel makes of one problem.
struct Result {
  std::vector<int32_t> acc, negative;
  std::vector<float> acc_f32;
  std::vector<uint8_t> codes;
  friend bool operator==(const Result&, const Result&) = default;
};

enum class Shortcut { none, plain, option_a };

template <int Bits>
class ConvProblem {
 public:
  using Op = kernels::LowbitConv2d<Bits>;

  ConvProblem(const Sizes& s, Shortcut shortcut, uint64_t seed)
      : rng_(problem_rng(seed)),
        x_(random_bytes(rng_, s.n * s.h * s.w * s.in, uint32_t(s.max_x) + 1)),
        weight_(rng_, s.out, s.kernel * s.kernel * s.in),
        epilogue_(rng_, s.out, s.kernel * s.kernel * s.in * (s.max_x + 1) / 4, s.two_step,
                  s.max_x) {
    args_.x = {x_.data(), {s.n, s.h, s.w, s.in}};
    args_.max_x = s.max_x;
    args_.weight = weight_.packed;
    args_.kernel_size = {s.kernel, s.kernel};
    args_.geometry.stride = {s.stride, s.stride};
    args_.geometry.padding = {s.padding, s.padding};
    args_.geometry.dilation = {s.dilation, s.dilation};
    args_.two_step = s.two_step;
    args_.epilogue = epilogue_.view;
    p_ = args_.geometry.out_size(0, s.h, s.kernel);
    q_ = args_.geometry.out_size(1, s.w, s.kernel);
    if (shortcut == Shortcut::none || empty()) return;
    const bool whole = shortcut == Shortcut::plain;
    set_shortcut(whole ? s.out : (s.out + 1) / 2, !whole);
  }

  bool empty() const { return p_ <= 0 || q_ <= 0; }
  typename Op::Args& args() { return args_; }

  Result run(const kernels::Kernel<Op>& kernel) {
    const int64_t n = args_.x.size(0), out = args_.weight.rows;
    const auto count = size_t(n * p_ * q_ * out);
    Result result{std::vector<int32_t>(count, -7), std::vector<int32_t>(count, -7),
                  std::vector<float>(count, -7), std::vector<uint8_t>(count, 77)};
    auto args = args_;
    args.acc = {result.acc.data(), {n, p_, q_, out}};
    if (args.two_step) args.acc_negative = {result.negative.data(), {n, p_, q_, out}};
    args.acc_f32 = {result.acc_f32.data(), {n, p_, q_, out}};
    args.y = {result.codes.data(), {n, p_, q_, out}};
    const auto prepacked = kernel.prepack(args);
    args.prepacked = prepacked.get();
    kernel.run(args, {});
    return result;
  }

  /// Codes alone, prepacked on the fly: the road that inference takes must not differ.
  std::vector<uint8_t> run_codes(const kernels::Kernel<Op>& kernel) {
    const int64_t n = args_.x.size(0), out = args_.weight.rows;
    std::vector<uint8_t> codes(size_t(n * p_ * q_ * out), 99);
    auto args = args_;
    args.y = {codes.data(), {n, p_, q_, out}};
    kernel.run(args, {});
    return codes;
  }

  /// Sums in f32 alone: the road that training takes.
  std::vector<float> run_sums(const kernels::Kernel<Op>& kernel) {
    const int64_t n = args_.x.size(0), out = args_.weight.rows;
    std::vector<float> sums(size_t(n * p_ * q_ * out), -7);
    auto args = args_;
    args.acc_f32 = {sums.data(), {n, p_, q_, out}};
    kernel.run(args, {});
    return sums;
  }

  /// A shortcut of this many channels, on the output's pixels or on about twice as many.
  void set_shortcut(int64_t channels, bool halved) {
    const int64_t n = args_.x.size(0);
    const int64_t h = halved ? 2 * p_ - int64_t(rng_.below(2)) : p_;
    const int64_t w = !halved || h == p_ ? q_ : 2 * q_ - int64_t(rng_.below(2));
    residual_ = random_bytes(rng_, n * h * w * channels);
    args_.residual = {residual_.data(), {n, h, w, channels}};
  }

 private:
  Rng rng_;
  std::vector<uint8_t> x_, residual_;
  RandomCodes<Bits> weight_;
  RandomEpilogue epilogue_;
  typename Op::Args args_;
  int64_t p_, q_;
};

/// Every kernel that runs here gives what the reference gives.
template <int Bits>
void compare_kernels(ConvProblem<Bits>& problem) {
  const auto& kernels = kernels::kernel_table<kernels::LowbitConv2d<Bits>>().kernels();
  const Result expected = problem.run(kernels.back());
  for (const auto& kernel : kernels) {
    if (kernel.refuse && !kernel.refuse(problem.args()).empty()) continue;
    INFO(kernel.name);
    const Result got = problem.run(kernel);
    CHECK(bool(got.acc == expected.acc));
    CHECK(bool(got.negative == expected.negative));
    CHECK(bool(got.acc_f32 == expected.acc_f32));
    CHECK(bool(std::equal(got.acc.begin(), got.acc.end(), got.acc_f32.begin(),
                          [](int32_t sum, float f32) { return float(sum) == f32; })));
    CHECK(bool(got.codes == expected.codes));
    CHECK(bool(problem.run_sums(kernel) == expected.acc_f32));
    CHECK(bool(problem.run_codes(kernel) == expected.codes));
  }
}

template <int Bits>
void compare_kernels(const Sizes& s, Shortcut shortcut, uint64_t seed) {
  ConvProblem<Bits> problem(s, shortcut, seed);
  if (problem.empty()) return;
  const Threads threads(seed % 16 == 0 ? 2 : 1);
  INFO("n" << s.n << " " << s.h << "x" << s.w << "x" << s.in << " -> " << s.out << " kernel "
           << s.kernel << " stride " << s.stride << " padding " << s.padding << " dilation "
           << s.dilation << " max_x " << s.max_x << " two_step " << s.two_step << " shortcut "
           << int(shortcut) << " seed " << seed);
  compare_kernels(problem);
}

}  // namespace apprentice::test
