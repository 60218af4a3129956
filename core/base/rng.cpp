#include <apprentice/base/rng.h>

#include <cmath>
#include <numbers>

#include <apprentice/base/philox.h>

namespace apprentice {

std::array<uint32_t, 4> philox4x32(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  return philox::block_of(counter, key);
}

Rng::Rng(uint64_t seed, RngPurpose purpose, uint32_t epoch, uint64_t sample)
    : key_(philox::key_of(seed)), counter_(philox::first_counter(purpose, epoch, sample)) {}

uint32_t Rng::bits() { return philox::next(key_, counter_, block_, left_); }

float Rng::uniform() { return float(bits() >> 8) * 0x1p-24f; }

float Rng::normal() {
  const double u = (double(bits()) + 1.0) * 0x1p-32, v = double(bits()) * 0x1p-32;
  return float(std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v));
}

uint32_t Rng::below(uint32_t n) { return philox::below(*this, n); }

}  // namespace apprentice
