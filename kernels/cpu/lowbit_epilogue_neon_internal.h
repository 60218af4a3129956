#pragma once

#include <arm_neon.h>

#include <cstdint>

/// Pieces of the epilogue that NEON kernels share. A vector is 4 outputs, of which the first `left`
/// are there.
namespace apprentice::kernels::neon {

inline constexpr int64_t kLanes = 4;

inline float32x4_t load_floats(const float* from, int64_t left) {
  if (left >= kLanes) return vld1q_f32(from);
  float some[kLanes] = {};
  for (int64_t k = 0; k < left; ++k) some[k] = from[k];
  return vld1q_f32(some);
}

/// 4 sums, s32 or f32.
template <class T, class Vector>
inline void store_sums(T* to, Vector sums, int64_t left) {
  if (left >= kLanes) {
    __builtin_memcpy(to, &sums, sizeof(sums));
  } else {
    __builtin_memcpy(to, &sums, uint64_t(left) * sizeof(T));
  }
}

/// Channels [begin, begin + 4) of `count` codes as f32; those outside are 0.
inline float32x4_t load_codes(const uint8_t* codes, int64_t begin, int64_t count) {
  uint32_t bytes = 0;
  if (begin >= 0 && begin + kLanes <= count) {
    __builtin_memcpy(&bytes, codes + begin, 4);
  } else {
    for (int64_t k = 0; k < kLanes; ++k) {
      const int64_t c = begin + k;
      if (c >= 0 && c < count) bytes |= uint32_t(codes[c]) << (8 * k);
    }
  }
  const uint16x8_t words = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(bytes)));
  return vcvtq_f32_u32(vmovl_u16(vget_low_u16(words)));
}

/// clamp(rint(t), 0, max_code), half to even; NaN gives 0.
inline void store_codes(uint8_t* y, float32x4_t t, float max_code, int64_t left) {
  t = vminnmq_f32(vmaxnmq_f32(t, vdupq_n_f32(0)), vdupq_n_f32(max_code));
  const uint16x4_t words = vqmovun_s32(vcvtnq_s32_f32(t));
  const uint8x8_t codes = vqmovn_u16(vcombine_u16(words, words));
  const uint32_t bytes = vget_lane_u32(vreinterpret_u32_u8(codes), 0);
  if (left >= kLanes) {
    __builtin_memcpy(y, &bytes, 4);
  } else {
    for (int64_t k = 0; k < left; ++k) y[k] = uint8_t(bytes >> (8 * k));
  }
}

}  // namespace apprentice::kernels::neon
