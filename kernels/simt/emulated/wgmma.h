#pragma once

#include <apprentice/kernels/simt/emulated/mma.h>

namespace apprentice::simt {

namespace emu {
/// What one thread gives to a product of its warpgroup. Registers are read and written when the
/// product takes effect, by these pointers.
struct WgmmaCall {
  int width;
  Signs signs;
  bool accumulate;
  int* d;
  const uint32_t* a_registers;  ///< null: A lies in shared memory
  uint64_t a, b;
};
void wgmma(const WgmmaCall& call, const Site& site);
void wgmma_fence(const Site& site);
void wgmma_commit(const Site& site);
void wgmma_wait(int groups, const Site& site);
}  // namespace emu

inline namespace api_emu {

inline uint64_t wgmma_descriptor(const void* tile, uint32_t leading_bytes, uint32_t stride_bytes,
                                 Swizzle swizzle, SIMT_SITE) {
  return pack_wgmma_descriptor(emu::shared_offset(tile, site), leading_bytes, stride_bytes,
                               swizzle);
}
inline void wgmma_fence(SIMT_SITE) { emu::wgmma_fence(site); }
inline void wgmma_commit(SIMT_SITE) { emu::wgmma_commit(site); }
template <int N>
void wgmma_wait(SIMT_SITE) {
  emu::wgmma_wait(N, site);
}

template <int N, class A = int8_t, class B = int8_t>
void wgmma_m64k32(int (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true, SIMT_SITE) {
  static_assert(is_wgmma_width(N), "N is 8, 16, 24, 32, then every 16 up to 256");
  emu::wgmma({N, emu::signs_of<A, B>(), accumulate, d, nullptr, a, b}, site);
}
template <int N, class A = int8_t, class B = int8_t>
void wgmma_m64k32(int (&d)[N / 2], const uint32_t (&a)[4], uint64_t b, bool accumulate = true,
                  SIMT_SITE) {
  static_assert(is_wgmma_width(N), "N is 8, 16, 24, 32, then every 16 up to 256");
  emu::wgmma({N, emu::signs_of<A, B>(), accumulate, d, a, 0, b}, site);
}

}  // namespace api_emu
}  // namespace apprentice::simt
