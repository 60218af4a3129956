#pragma once

#include <limits>
#include <map>

#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/tools/bench/lowbit.h>

namespace apprentice::tools {

/// A low-bit GEMM of random codes into s32; of a shape with "group=" into f32, with a scale for
/// each group of columns; of one with "tiles=" that percentage of the tiles of 4 columns by 16
/// outputs is not zero. If `quantizing`, its x are reals of the same codes, which it quantizes
/// within the time that is taken.
template <class X, int Bits>
struct LowbitGemmProblem {
  using Op = kernels::LowbitGemm<X, Bits>;
  using Args = typename Op::Args;

  explicit LowbitGemmProblem(const BenchShape& s, bool quantizing = false) {
    const int64_t m = s.at("m"), n = s.at("n"), k = s.at("k");
    std::mt19937 random(1);
    x.resize(size_t(m * k));
    for (X& code : x) code = X(random());
    weight = random_codes<Bits>(n, k, random);
    if (s.sizes.count("tiles")) prune(n, k, s.at("tiles"), random);
    args.weight = {weight.data(), n, k};
    if (quantizing) {
      args.grid = {1 / 0.25f, std::numeric_limits<X>::min(), std::numeric_limits<X>::max()};
      for (const X code : x) real_x.push_back(0.25f * float(code));
      args.real_x = {real_x.data(), {m, k}};
    } else {
      args.x = {x.data(), {m, k}};
    }
    if (s.sizes.count("group")) {
      scale_groups(s.at("group"), random);
    } else {
      acc.resize(size_t(m * n));
      args.acc = {acc.data(), {m, n}};
    }
  }

  /// The weight codes stay: what kernels read of them, they prepack.
  Args args_in(DeviceCopies& copies) const {
    Args there = args;
    there.x = copies(args.x), there.real_x = copies(args.real_x);
    there.group_a = copies(args.group_a);
    there.acc = copies(args.acc), there.value = copies(args.value);
    return there;
  }
  double operations() const {
    return 2.0 * double(args.rows()) * double(args.weight.rows) * double(args.weight.cols);
  }
  double bytes() const {
    const size_t out = acc.size() + values.size();
    const size_t in = args.real_x ? 4 * real_x.size() : x.size();
    return double(in + weight.size() + 4 * scales.size() + 4 * out);
  }

  /// Against the reference kernel, on the first row and the last.
  std::string compare() {
    return args.value ? compare_rows(&Args::value, expected_values_)
                      : compare_rows(&Args::acc, expected_);
  }

  std::vector<X> x;
  std::vector<float> real_x, scales, values;
  std::vector<uint8_t> weight;
  std::vector<int32_t> acc;
  Args args;

 private:
  void prune(int64_t n, int64_t k, int64_t percent, std::mt19937& random) {
    const int64_t row_bytes = kernels::packed_row_bytes(Bits, k), width = Bits / 2;
    for (int64_t row = 0; row < n; row += 16) {
      for (int64_t at = 0; at < row_bytes; at += width) {
        if (int64_t(random() % 100) < percent) continue;
        for (int64_t r = row; r < std::min(n, row + 16); ++r) {
          std::fill_n(weight.begin() + r * row_bytes + at, std::min(width, row_bytes - at), 0);
        }
      }
    }
  }

  void scale_groups(int64_t size, std::mt19937& random) {
    const int64_t n = args.weight.rows, groups = (args.weight.cols + size - 1) / size;
    std::uniform_real_distribution<float> scale(0.5f, 1.0f);
    for (int64_t i = 0; i < groups * n; ++i) scales.push_back(scale(random));
    args.group_size = size;
    args.group_a = {scales.data(), {groups, n}};
    values.resize(size_t(args.rows() * n));
    args.value = {values.data(), {args.rows(), n}};
  }

  template <class T>
  std::string compare_rows(View2<T> Args::*output, std::map<int64_t, std::vector<T>>& rows) {
    const int64_t k = args.weight.cols, n = args.weight.rows;
    for (const int64_t row : {int64_t(0), args.rows() - 1}) {
      auto& expected = rows[row];
      if (expected.empty()) {
        expected.resize(size_t(n));
        auto one = args;
        if (one.x) one.x = {one.x.data + row * k, {1, k}};
        if (one.real_x) one.real_x = {one.real_x.data + row * k, {1, k}};
        one.*output = {expected.data(), {1, n}};
        kernels::kernel_table<Op>().kernels().back().run(one, {});
      }
      const std::string wrong = compare_codes((args.*output).data + row * n, expected);
      if (!wrong.empty()) return fmt::format("row {}: {}", row, wrong);
    }
    return "";
  }

  std::map<int64_t, std::vector<int32_t>> expected_;  ///< by row
  std::map<int64_t, std::vector<float>> expected_values_;
};

}  // namespace apprentice::tools
