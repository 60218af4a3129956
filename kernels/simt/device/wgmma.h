#pragma once

#include <apprentice/kernels/simt/device/mma.h>
#include <apprentice/kernels/simt/device/wgmma_operands_internal.h>

namespace apprentice::simt {
inline namespace api_dev {

// Matrix products of a warpgroup (four consecutive warps, the first a multiple of four) on sm_90a:
//   wgmma_fence, any number of wgmma, wgmma_commit, wgmma_wait<groups still under way>
// All 128 threads execute each of them together. Registers of D, and of A in the register form,
// must not be touched between the product and the wait for its group.

/// The descriptor of a K-major tile in shared memory (types.h); rows of 32 bytes of K.
SIMT_FN uint64_t wgmma_descriptor(const void* tile, uint32_t leading_bytes, uint32_t stride_bytes,
                                  Swizzle swizzle) {
  return pack_wgmma_descriptor(shared_address(tile), leading_bytes, stride_bytes, swizzle);
}
/// Orders earlier accesses of the registers and of shared memory before the products that follow.
SIMT_FN void wgmma_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
SIMT_FN void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
SIMT_FN void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// clang-format off
#define SIMT_WGMMA(n, da, db, acc, ta, tb)                                                   \
  if constexpr (N == n)                                                                      \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #acc ", 0;\n"                            \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k32.s32.%" #ta ".%" #tb             \
                 " {" SIMT_WGMMA_NAMES_##n "}, %" #da ", %" #db ", p; }"                     \
                 : SIMT_WGMMA_D_##n                                                          \
                 : "l"(a), "l"(b), "r"(int(accumulate)), "C"(OperandName<A>::text),          \
                   "C"(OperandName<B>::text)                                                 \
                 : "memory")
#define SIMT_WGMMA_REGISTERS(n, a0, a1, a2, a3, db, acc, ta, tb)                             \
  if constexpr (N == n)                                                                      \
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %" #acc ", 0;\n"                            \
                 "wgmma.mma_async.sync.aligned.m64n" #n "k32.s32.%" #ta ".%" #tb             \
                 " {" SIMT_WGMMA_NAMES_##n "}, {%" #a0 ",%" #a1 ",%" #a2 ",%" #a3 "}, %" #db \
                 ", p; }"                                                                    \
                 : SIMT_WGMMA_D_##n                                                          \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b), "r"(int(accumulate)), \
                   "C"(OperandName<A>::text), "C"(OperandName<B>::text)                      \
                 : "memory")
// clang-format on

/// D[64, N] += A[64, 32] B[N, 32]^T, or = if not `accumulate`; A and B, of int8_t or uint8_t, lie
/// in shared memory. With warp w of the group and lane 4g + t, register i of D is
/// row 16w + g + 8(i >> 1 & 1), column 8(i >> 2) + 2t + (i & 1).
template <int N, class A = int8_t, class B = int8_t>
SIMT_FN void wgmma_m64k32(int (&d)[N / 2], uint64_t a, uint64_t b, bool accumulate = true) {
  static_assert(is_wgmma_width(N), "N is 8, 16, 24, 32, then every 16 up to 256");
  SIMT_WGMMA(8, 4, 5, 6, 7, 8);
  SIMT_WGMMA(16, 8, 9, 10, 11, 12);
  SIMT_WGMMA(24, 12, 13, 14, 15, 16);
  SIMT_WGMMA(32, 16, 17, 18, 19, 20);
  SIMT_WGMMA(48, 24, 25, 26, 27, 28);
  SIMT_WGMMA(64, 32, 33, 34, 35, 36);
  SIMT_WGMMA(80, 40, 41, 42, 43, 44);
  SIMT_WGMMA(96, 48, 49, 50, 51, 52);
  SIMT_WGMMA(112, 56, 57, 58, 59, 60);
  SIMT_WGMMA(128, 64, 65, 66, 67, 68);
  SIMT_WGMMA(144, 72, 73, 74, 75, 76);
  SIMT_WGMMA(160, 80, 81, 82, 83, 84);
  SIMT_WGMMA(176, 88, 89, 90, 91, 92);
  SIMT_WGMMA(192, 96, 97, 98, 99, 100);
  SIMT_WGMMA(208, 104, 105, 106, 107, 108);
  SIMT_WGMMA(224, 112, 113, 114, 115, 116);
  SIMT_WGMMA(240, 120, 121, 122, 123, 124);
  SIMT_WGMMA(256, 128, 129, 130, 131, 132);
}

/// The same with A in registers: those of mma_m16n8k32 for the rows 16w .. 16w + 15 of each warp w.
template <int N, class A = int8_t, class B = int8_t>
SIMT_FN void wgmma_m64k32(int (&d)[N / 2], const uint32_t (&a)[4], uint64_t b,
                          bool accumulate = true) {
  static_assert(is_wgmma_width(N), "N is 8, 16, 24, 32, then every 16 up to 256");
  SIMT_WGMMA_REGISTERS(8, 4, 5, 6, 7, 8, 9, 10, 11);
  SIMT_WGMMA_REGISTERS(16, 8, 9, 10, 11, 12, 13, 14, 15);
  SIMT_WGMMA_REGISTERS(24, 12, 13, 14, 15, 16, 17, 18, 19);
  SIMT_WGMMA_REGISTERS(32, 16, 17, 18, 19, 20, 21, 22, 23);
  SIMT_WGMMA_REGISTERS(48, 24, 25, 26, 27, 28, 29, 30, 31);
  SIMT_WGMMA_REGISTERS(64, 32, 33, 34, 35, 36, 37, 38, 39);
  SIMT_WGMMA_REGISTERS(80, 40, 41, 42, 43, 44, 45, 46, 47);
  SIMT_WGMMA_REGISTERS(96, 48, 49, 50, 51, 52, 53, 54, 55);
  SIMT_WGMMA_REGISTERS(112, 56, 57, 58, 59, 60, 61, 62, 63);
  SIMT_WGMMA_REGISTERS(128, 64, 65, 66, 67, 68, 69, 70, 71);
  SIMT_WGMMA_REGISTERS(144, 72, 73, 74, 75, 76, 77, 78, 79);
  SIMT_WGMMA_REGISTERS(160, 80, 81, 82, 83, 84, 85, 86, 87);
  SIMT_WGMMA_REGISTERS(176, 88, 89, 90, 91, 92, 93, 94, 95);
  SIMT_WGMMA_REGISTERS(192, 96, 97, 98, 99, 100, 101, 102, 103);
  SIMT_WGMMA_REGISTERS(208, 104, 105, 106, 107, 108, 109, 110, 111);
  SIMT_WGMMA_REGISTERS(224, 112, 113, 114, 115, 116, 117, 118, 119);
  SIMT_WGMMA_REGISTERS(240, 120, 121, 122, 123, 124, 125, 126, 127);
  SIMT_WGMMA_REGISTERS(256, 128, 129, 130, 131, 132, 133, 134, 135);
}

#undef SIMT_WGMMA
#undef SIMT_WGMMA_REGISTERS

}  // namespace api_dev
}  // namespace apprentice::simt
