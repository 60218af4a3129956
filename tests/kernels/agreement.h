#pragma once

#include <omp.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <cstring>
#include <deque>
#include <limits>
#include <vector>

#include <apprentice/base/rng.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice {
void load_dense_units();
}

namespace apprentice::kernels::test {

/// Random inputs, keyed by a seed; arrays live as long as the object.
class Random {
 public:
  explicit Random(uint64_t seed) : rng_(seed, RngPurpose::test) {}

  int64_t below(int64_t n) { return int64_t(rng_.below(uint32_t(n))); }
  int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
  bool flip() { return below(2) == 1; }
  int64_t pick(std::initializer_list<int64_t> of) {
    return of.begin()[size_t(below(int64_t(of.size())))];
  }

  /// Uniform in [low, high).
  template <size_t R>
  View<const float, int(R)> uniform(std::array<int64_t, R> sizes, float low = -1, float high = 1) {
    return fill(sizes, [&] { return low + (high - low) * rng_.uniform(); });
  }
  /// Small integers, whose sums of products f32 holds exactly.
  template <size_t R>
  View<const float, int(R)> integers(std::array<int64_t, R> sizes, int64_t low, int64_t high) {
    return fill(sizes, [&] { return float(between(low, high)); });
  }
  template <size_t R, class Fn>
  View<const float, int(R)> fill(std::array<int64_t, R> sizes, Fn value) {
    View<const float, int(R)> view{nullptr, sizes};
    // One element more, so that an empty view is not taken for an absent one.
    auto& values = arrays_.emplace_back(size_t(view.numel()) + 1);
    for (float& v : values) v = value();
    view.data = values.data();
    return view;
  }

 private:
  Rng rng_;
  std::deque<std::vector<float>> arrays_;
};

/// What a kernel writes: arrays that start as NaN (or as given), each with the largest difference
/// from the reference that its elements may show.
class Outputs {
 public:
  struct Array {
    std::vector<float> values;
    double tolerance;
  };

  template <size_t R>
  View<float, int(R)> view(std::array<int64_t, R> sizes, double tolerance) {
    View<float, int(R)> view{nullptr, sizes};
    const float nan = std::numeric_limits<float>::quiet_NaN();
    arrays_.push_back({std::vector<float>(size_t(view.numel()) + 1, nan), tolerance});
    view.data = arrays_.back().values.data();
    return view;
  }
  /// An array that the kernel updates in place.
  template <int R>
  View<float, R> updated(View<const float, R> start, double tolerance) {
    View<float, R> own = view(start.sizes, tolerance);
    std::copy_n(start.data, start.numel(), own.data);
    return own;
  }
  const std::deque<Array>& arrays() const { return arrays_; }

 private:
  std::deque<Array> arrays_;
};

/// Index of the first element of `got` that is further from `expected` than allowed, or -1.
inline int64_t first_difference(const Outputs::Array& got, const Outputs::Array& expected) {
  for (size_t i = 0; i < got.values.size(); ++i) {
    const float a = got.values[i], b = expected.values[i];
    if (std::isnan(a) && std::isnan(b)) continue;
    if (a == b) continue;
    if (!(std::abs(double(a) - double(b)) <= expected.tolerance)) return int64_t(i);
  }
  return -1;
}

/// Runs every kernel of Op that takes the problem, on one and on two threads, and compares with the
/// reference. `make(Outputs&)` gives the arguments, with outputs of its own at each call.
template <class Op, class Make>
void agree(Make make) {
  load_dense_units();
  Outputs expected;
  const auto expected_args = make(expected);
  kernel_table<Op>().select(expected_args, {"reference", true}).run(expected_args, {});
  const int threads_before = omp_get_max_threads();
  for (const auto& kernel : kernel_table<Op>().kernels()) {
    for (int threads : {1, 2}) {
      omp_set_num_threads(threads);
      Outputs got;
      const auto args = make(got);
      if (kernel.refuse && !kernel.refuse(args).empty()) continue;
      kernel.run(args, {});
      for (size_t k = 0; k < got.arrays().size(); ++k) {
        const int64_t at = first_difference(got.arrays()[k], expected.arrays()[k]);
        CAPTURE(kernel.name, threads, k, at, expected.arrays()[k].tolerance);
        CAPTURE(got.arrays()[k].values[size_t(std::max<int64_t>(at, 0))]);
        CAPTURE(expected.arrays()[k].values[size_t(std::max<int64_t>(at, 0))]);
        CHECK(at == -1);
      }
    }
  }
  omp_set_num_threads(threads_before);
}

/// Names of the kernels that take a problem.
template <class Op>
std::vector<std::string> takers(const typename Op::Args& args) {
  load_dense_units();
  std::vector<std::string> names;
  for (const auto& kernel : kernel_table<Op>().kernels())
    if (!kernel.refuse || kernel.refuse(args).empty()) names.push_back(kernel.name);
  return names;
}

inline constexpr double kEpsilon = 0x1p-23;

}  // namespace apprentice::kernels::test
