#pragma once

#include <array>
#include <cstdint>

namespace apprentice {

/// Counter-based random numbers: Philox 4x32-10 (Salmon et al. 2011, "Parallel random numbers: as
/// easy as 1, 2, 3", SC11). The i-th number of a key is a pure function of (key, i), so the same on
/// every device and for any number of workers.
std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

/// What random numbers are for; part of the key, so that streams never overlap.
enum class RngPurpose : uint32_t { init, shuffle, augment, dropout, dataset, test };

/// A stream of random numbers keyed by (seed, purpose, epoch, sample).
class Rng {
 public:
  explicit Rng(uint64_t seed, RngPurpose purpose = RngPurpose::init, uint32_t epoch = 0,
               uint64_t sample = 0);

  /// Uniform in [0, 2^32).
  uint32_t bits();
  /// Uniform in [0, 1), a multiple of 2^-24 (exact in f32).
  float uniform();
  /// Standard normal (Box-Muller, in double).
  float normal();
  /// Uniform in [0, n), without bias (rejection). n > 0.
  uint32_t below(uint32_t n);

 private:
  std::array<uint32_t, 2> key_;
  std::array<uint32_t, 4> counter_;
  std::array<uint32_t, 4> block_{};
  int left_ = 0;
};

}  // namespace apprentice
