#pragma once

#include <cstdint>

namespace apprentice {

/// A bf16 in memory: the upper half of an f32. It is storage, no number to calculate with: whoever
/// reads one has a float, exactly, and only an explicit conversion makes one. Device code sees it
/// too.
struct Bf16 {
  uint16_t bits;

  Bf16() = default;
  /// The nearest, ties to even; a NaN stays one, of its sign.
  explicit constexpr Bf16(float v) : bits(rounded(__builtin_bit_cast(uint32_t, v))) {}
  constexpr operator float() const { return __builtin_bit_cast(float, uint32_t(bits) << 16); }

  static constexpr Bf16 of_bits(uint16_t bits) {
    Bf16 v{};
    v.bits = bits;
    return v;
  }

 private:
  static constexpr uint16_t rounded(uint32_t word) {
    if ((word & 0x7fffffffu) > 0x7f800000u) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

}  // namespace apprentice
