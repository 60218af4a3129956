#pragma once

#include <type_traits>

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
/// Which of the 8-bit operands are signed.
struct Signs {
  bool a, b;
  friend bool operator==(const Signs&, const Signs&) = default;
};
template <class A, class B>
constexpr Signs signs_of() {
  static_assert(sizeof(A) == 1 && sizeof(B) == 1);
  return {std::is_signed_v<A>, std::is_signed_v<B>};
}
void mma_8bit(int* d, const uint32_t* a, const uint32_t* b, Signs signs, const Site& site);
void mma_bf16(float* d, const uint32_t* a, const uint32_t* b, const Site& site);
void ldmatrix(uint32_t* r, int count, bool transposed, const void* row, const Site& site);
}  // namespace emu

inline namespace api_emu {

template <class A = int8_t, class B = int8_t>
void mma_m16n8k32(int (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], SIMT_SITE) {
  emu::mma_8bit(d, a, b, emu::signs_of<A, B>(), site);
}
inline void mma_m16n8k16_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2],
                              SIMT_SITE) {
  emu::mma_bf16(d, a, b, site);
}

inline void ldmatrix_x1(uint32_t (&r)[1], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 1, false, row, site);
}
inline void ldmatrix_x2(uint32_t (&r)[2], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 2, false, row, site);
}
inline void ldmatrix_x4(uint32_t (&r)[4], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 4, false, row, site);
}
inline void ldmatrix_x1_trans(uint32_t (&r)[1], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 1, true, row, site);
}
inline void ldmatrix_x2_trans(uint32_t (&r)[2], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 2, true, row, site);
}
inline void ldmatrix_x4_trans(uint32_t (&r)[4], const void* row, SIMT_SITE) {
  emu::ldmatrix(r, 4, true, row, site);
}

}  // namespace api_emu
}  // namespace apprentice::simt
