#pragma once

#include <omp.h>

#include <cstdint>
#include <vector>

#include <apprentice/base/rng.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/epilogue.h>

namespace apprentice::test {

/// A stream of random numbers for the problem with this number.
inline Rng problem_rng(uint64_t seed) { return Rng(seed, RngPurpose::test); }

/// Runs the kernels of a scope with this many threads. Thousands of tiny problems take one: on a
/// busy machine each meeting of two threads may wait for the other's time slice.
class Threads {
 public:
  explicit Threads(int count) { omp_set_num_threads(count); }
  ~Threads() { omp_set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

inline std::vector<uint8_t> random_bytes(Rng& rng, int64_t count, uint32_t limit = 256) {
  std::vector<uint8_t> bytes(static_cast<size_t>(count));
  for (uint8_t& b : bytes) b = uint8_t(rng.below(limit));
  return bytes;
}

/// Random packed weights, and the codes that they hold.
template <int Bits>
struct RandomCodes {
  RandomCodes(Rng& rng, int64_t rows, int64_t cols)
      : codes(size_t(rows * cols)), bytes(size_t(rows * kernels::packed_row_bytes(Bits, cols))) {
    const int low = kernels::min_code<Bits>, high = kernels::max_code<Bits>;
    for (int8_t& c : codes) c = int8_t(low + int(rng.below(uint32_t(high - low + 1))));
    pack(rows, cols);
  }
  RandomCodes(int8_t value, int64_t rows, int64_t cols)
      : codes(size_t(rows * cols), value),
        bytes(size_t(rows * kernels::packed_row_bytes(Bits, cols))) {
    pack(rows, cols);
  }
  kernels::PackedCodes<Bits> packed;
  std::vector<int8_t> codes;
  std::vector<uint8_t> bytes;

 private:
  void pack(int64_t rows, int64_t cols) {
    kernels::pack_codes<Bits>({codes.data(), {rows, cols}}, bytes.data());
    packed = {bytes.data(), rows, cols};
  }
};

/// Epilogue constants that spread sums of a layer of `depth` taps over and beyond the codes.
struct RandomEpilogue {
  RandomEpilogue(Rng& rng, int64_t out, int64_t depth, bool two_step, int32_t max_code)
      : a(size_t(out)), a_negative(size_t(out)), b(size_t(out)) {
    const float scale = 4.0f / (float(depth) + 1.0f);
    for (size_t c = 0; c < a.size(); ++c) {
      a[c] = (rng.uniform() - 0.2f) * scale;
      a_negative[c] = (rng.uniform() - 0.2f) * scale;
      b[c] = (rng.uniform() - 0.4f) * float(max_code);
    }
    view.a = {a.data(), {out}};
    view.b = {b.data(), {out}};
    if (two_step) view.a_negative = {a_negative.data(), {out}};
    view.r = rng.uniform() * 2;
    view.max_code = max_code;
  }
  std::vector<float> a, a_negative, b;
  kernels::Epilogue view;
};

}  // namespace apprentice::test
