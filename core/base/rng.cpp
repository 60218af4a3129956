#include <apprentice/base/rng.h>

#include <cmath>
#include <numbers>

namespace apprentice {
namespace {

constexpr uint32_t kMultiplier0 = 0xD2511F53u, kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kWeyl0 = 0x9E3779B9u, kWeyl1 = 0xBB67AE85u;

}  // namespace

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> c, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = uint64_t(kMultiplier0) * c[0], p1 = uint64_t(kMultiplier1) * c[2];
    c = {uint32_t(p1 >> 32) ^ c[1] ^ key[0], uint32_t(p1), uint32_t(p0 >> 32) ^ c[3] ^ key[1],
         uint32_t(p0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return c;
}

/// Counter layout: [block number, sample low, sample high and purpose, epoch].
Rng::Rng(uint64_t seed, RngPurpose purpose, uint32_t epoch, uint64_t sample)
    : key_{uint32_t(seed), uint32_t(seed >> 32)},
      counter_{0, uint32_t(sample), uint32_t(sample >> 32) ^ (uint32_t(purpose) << 24), epoch} {}

uint32_t Rng::bits() {
  if (left_ == 0) {
    block_ = philox4x32(counter_, key_);
    ++counter_[0];
    left_ = 4;
  }
  return block_[size_t(4 - left_--)];
}

float Rng::uniform() { return float(bits() >> 8) * 0x1p-24f; }

float Rng::normal() {
  const double u = (double(bits()) + 1.0) * 0x1p-32, v = double(bits()) * 0x1p-32;
  return float(std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v));
}

uint32_t Rng::below(uint32_t n) {
  const uint32_t reject_under = (0u - n) % n;
  for (;;) {
    const uint64_t wide = uint64_t(bits()) * n;
    if (uint32_t(wide) >= reject_under) return uint32_t(wide >> 32);
  }
}

}  // namespace apprentice
