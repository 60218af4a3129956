#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include <apprentice/base/rng.h>

// The numbers of Rng (rng.h) as functions that kernels of a device call too: one source, so the
// same numbers everywhere.
namespace apprentice::philox {

constexpr std::array<uint32_t, 4> block_of(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
  constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(kMultiplier0) * c[0], p1 = uint64_t(kMultiplier1) * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ key[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key[1],
         uint32_t(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

constexpr std::array<uint32_t, 2> key_of(uint64_t seed) {
  return {uint32_t(seed), uint32_t(seed >> 32)};
}
/// Layout: [block number, sample low, sample high and purpose, epoch].
constexpr std::array<uint32_t, 4> first_counter(RngPurpose purpose, uint32_t epoch,
                                                uint64_t sample) {
  return {0, uint32_t(sample), uint32_t(sample >> 32) ^ (uint32_t(purpose) << 24), epoch};
}

/// The next number of a stream, of whose `block` the last `left` are still to come.
constexpr uint32_t next(const std::array<uint32_t, 2>& key, std::array<uint32_t, 4>& counter,
                        std::array<uint32_t, 4>& block, int& left) {
  if (left == 0) {
    block = block_of(counter, key);
    ++counter[0];
    left = 4;
  }
  return block[size_t(4 - left--)];
}

/// Uniform in [0, n), without bias, from the bits() of a stream.
template <class Bits>
constexpr uint32_t below(Bits& stream, uint32_t n) {
  const uint32_t reject_under = (0u - n) % n;
  for (;;) {
    const uint64_t wide = uint64_t(stream.bits()) * n;
    if (uint32_t(wide) >= reject_under) return uint32_t(wide >> 32);
  }
}

/// bits() and below() of an Rng with this key, for kernels.
struct Stream {
  std::array<uint32_t, 2> key;
  std::array<uint32_t, 4> counter, block{};
  int left = 0;

  constexpr Stream(uint64_t seed, RngPurpose purpose, uint32_t epoch, uint64_t sample)
      : key(key_of(seed)), counter(first_counter(purpose, epoch, sample)) {}
  constexpr uint32_t bits() { return next(key, counter, block, left); }
  constexpr uint32_t below(uint32_t n) { return philox::below(*this, n); }
};

}  // namespace apprentice::philox
