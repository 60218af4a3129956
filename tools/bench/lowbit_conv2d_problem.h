#pragma once

#include <map>

#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/tools/bench/lowbit.h>

namespace apprentice::tools {

/// A low-bit convolution with the epilogue that makes codes of its sums, as packed networks run it:
/// random codes up to max_x= (255 if absent), scale 1/64, no shortcut.
template <int Bits>
struct LowbitConv2dProblem {
  using Op = kernels::LowbitConv2d<Bits>;

  explicit LowbitConv2dProblem(const BenchShape& s) {
    const int64_t n = s.at("n"), h = s.at("h"), w = s.at("w"), in = s.at("in"), out = s.at("out");
    const int64_t k = s.at("kernel"), stride = s.at("stride"), padding = s.at("padding");
    args.geometry.stride = {stride, stride};
    args.geometry.padding = {padding, padding};
    args.kernel_size = {k, k};
    const auto limit = s.sizes.find("max_x");
    if (limit != s.sizes.end()) args.max_x = int32_t(limit->second);
    check<ConfigError>(args.max_x <= 255, "shape '{} {}': max_x is {}, expected at most 255", s.op,
                       s.text, args.max_x);
    std::mt19937 random(1);
    std::uniform_int_distribution<int> code(0, args.max_x);
    x.resize(size_t(n * h * w * in));
    for (uint8_t& c : x) c = uint8_t(code(random));
    weight = random_codes<Bits>(out, k * k * in, random);
    const int64_t p = args.geometry.out_size(0, h, k), q = args.geometry.out_size(1, w, k);
    y.resize(size_t(n * p * q * out));
    scale.assign(size_t(out), kScale);
    shift.assign(size_t(out), 0);
    args.x = {x.data(), {n, h, w, in}};
    args.weight = {weight.data(), out, k * k * in};
    args.epilogue.a = {scale.data(), {out}};
    args.epilogue.b = {shift.data(), {out}};
    args.y = {y.data(), {n, p, q, out}};
  }

  /// The weight codes stay: what kernels read of them, they prepack.
  typename Op::Args args_in(DeviceCopies& copies) const {
    typename Op::Args there = args;
    there.x = copies(args.x), there.y = copies(args.y);
    there.epilogue.a = copies(args.epilogue.a), there.epilogue.b = copies(args.epilogue.b);
    return there;
  }
  double operations() const { return 2.0 * double(y.size()) * double(args.weight.cols); }
  double bytes() const { return double(x.size() + weight.size() + y.size()); }

  /// Against the reference kernel, on the first image and the last.
  std::string compare() {
    for (const int64_t image : {int64_t(0), args.x.size(0) - 1}) {
      const int64_t size = args.y.numel() / args.y.size(0);
      auto& expected = expected_[image];
      if (expected.empty()) {
        expected.resize(size_t(size));
        auto one = args;
        one.x.data += image * (args.x.numel() / args.x.size(0));
        one.x.sizes[0] = one.y.sizes[0] = 1;
        one.y.data = expected.data();
        kernels::kernel_table<Op>().kernels().back().run(one, {});
      }
      const std::string wrong = compare_codes(y.data() + image * size, expected);
      if (!wrong.empty()) return fmt::format("image {}: {}", image, wrong);
    }
    return "";
  }

  static constexpr float kScale = 1.f / 64;  ///< a power of two: other libraries' rounding agrees
  std::vector<uint8_t> x, weight, y;
  std::vector<float> scale, shift;
  typename Op::Args args;

 private:
  std::map<int64_t, std::vector<uint8_t>> expected_;  ///< by image
};

}  // namespace apprentice::tools
