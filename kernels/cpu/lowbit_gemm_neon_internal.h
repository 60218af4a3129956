#pragma once

#include <arm_neon.h>

#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

/// Codes of packed weights (kernels/lowbit_gemm_panels_internal.h) as bytes: a table says what a
/// field of a nibble stands for.
namespace apprentice::kernels::neon {

struct Nibbles {
  uint8x16_t half[2];  ///< low, high
};
inline Nibbles nibbles(uint8x16_t q) { return {{vandq_u8(q, vdupq_n_u8(15)), vshrq_n_u8(q, 4)}}; }

/// The bytes `of(0)` to `of(15)`.
template <class Of>
inline int8x16_t table(Of of) {
  int8_t bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = int8_t(of(i));
  return vld1q_s8(bytes);
}

/// `fields` codes lie in a byte; `sums` panels come of one.
template <GemmWeights Kind>
struct Codes;

template <>
struct Codes<GemmWeights::ternary> {
  static constexpr int fields = 4, sums = 1;
  int8x16_t codes[2] = {table([](int i) { return i % 4 - 1; }),
                        table([](int i) { return i / 4 - 1; })};
  int8x16_t of(const Nibbles& q, int field, int) const {
    return vqtbl1q_s8(codes[field % 2], q.half[field / 2]);
  }
};
template <>
struct Codes<GemmWeights::two_step> {
  static constexpr int fields = 4, sums = 2;
  int8x16_t low[2] = {table([](int i) { return i % 4 == 2; }),
                      table([](int i) { return i % 4 == 0; })};
  int8x16_t high[2] = {table([](int i) { return i / 4 == 2; }),
                       table([](int i) { return i / 4 == 0; })};
  int8x16_t of(const Nibbles& q, int field, int sum) const {
    return vqtbl1q_s8(field % 2 ? high[sum] : low[sum], q.half[field / 2]);
  }
};
template <>
struct Codes<GemmWeights::int4> {
  static constexpr int fields = 2, sums = 1;
  int8x16_t codes = table([](int i) { return i - 8; });
  int8x16_t of(const Nibbles& q, int field, int) const { return vqtbl1q_s8(codes, q.half[field]); }
};

/// Adds sums to values (GemmFold).
void fold(const GemmFold& fold);

}  // namespace apprentice::kernels::neon
