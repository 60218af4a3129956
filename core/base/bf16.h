#pragma once

#include <cstdint>

namespace apprentice {

/// A bf16 in memory: the upper half of an f32. It is storage, no number to calculate with: whoever
/// reads one has a float, exactly, and only an explicit conversion makes one. Device code sees it
/// too.
struct Bf16 {
  uint16_t bits;

  Bf16() = default;
  /// The nearest, ties to even; a NaN stays one, on the host of its sign.
  explicit constexpr Bf16(float v) : bits(rounded(v)) {}
  constexpr operator float() const { return __builtin_bit_cast(float, uint32_t(bits) << 16); }

  static constexpr Bf16 of_bits(uint16_t bits) {
    Bf16 v{};
    v.bits = bits;
    return v;
  }

 private:
  static constexpr uint16_t rounded(float v) {
#if defined(__CUDA_ARCH__)
    if (!__builtin_is_constant_evaluated()) {
      uint16_t nearest;
      asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(nearest) : "f"(v));
      return nearest;
    }
#endif
    const auto word = __builtin_bit_cast(uint32_t, v);
    if ((word & 0x7fffffffu) > 0x7f800000u) return uint16_t(word >> 16 | 0x40);
    return uint16_t((word + 0x7fff + (word >> 16 & 1)) >> 16);
  }
};

}  // namespace apprentice
