#pragma once

#include <cstddef>
#include <cstdint>

// What both builds of a kernel source share. SIMT_CX marks host and device functions that a
// constant expression may call.
#if defined(__CUDACC__)
#define SIMT_CX __host__ __device__ constexpr
#define SIMT_VECTOR(bytes) alignas(bytes)
#else
#define SIMT_CX constexpr
// g++ tells types apart when it reorders accesses, nvcc does not.
#define SIMT_VECTOR(bytes) __attribute__((aligned(bytes), may_alias))
#endif

namespace apprentice::simt {

/// Vectors that nvcc loads and stores in one instruction.
struct SIMT_VECTOR(8) U32x2 {
  uint32_t x, y;
};
struct SIMT_VECTOR(16) U32x4 {
  uint32_t x, y, z, w;
};
struct SIMT_VECTOR(8) F32x2 {
  float x, y;
};
struct SIMT_VECTOR(16) F32x4 {
  float x, y, z, w;
};

/// All 32 lanes of a warp.
inline constexpr uint32_t full_mask = 0xffffffffu;

/// How the tensor units permute the 16-byte chunks of shared memory; values of the field of a wgmma
/// descriptor (PTX ISA, "Matrix-descriptor format").
enum class Swizzle : uint32_t { none = 0, b128 = 1, b64 = 2, b32 = 3 };

/// Where byte `address` of shared memory lies under `swizzle`: bits 4.. are xor-ed with the row
/// bits above them, so that eight rows of one chunk fall on different banks. An involution.
SIMT_CX uint32_t swizzle_address(uint32_t address, Swizzle swizzle) {
  switch (swizzle) {
    case Swizzle::b128:
      return address ^ ((address >> 3) & 0x70);
    case Swizzle::b64:
      return address ^ ((address >> 3) & 0x30);
    case Swizzle::b32:
      return address ^ ((address >> 3) & 0x10);
    default:
      return address;
  }
}

/// The wgmma descriptor of a K-major tile at a shared-memory byte address: `leading_bytes` lie
/// between two 16-byte columns of cores (without swizzle only), `stride_bytes` between two groups
/// of eight rows.
SIMT_CX uint64_t pack_wgmma_descriptor(uint32_t address, uint32_t leading_bytes,
                                       uint32_t stride_bytes, Swizzle swizzle) {
  return uint64_t((address & 0x3ffff) >> 4) | uint64_t((leading_bytes & 0x3ffff) >> 4) << 16 |
         uint64_t((stride_bytes & 0x3ffff) >> 4) << 32 | uint64_t(swizzle) << 62;
}

/// Is N a width of wgmma m64nNk32: 8, 16, 24, 32, then every 16 up to 256.
SIMT_CX bool is_wgmma_width(int n) {
  return (n >= 8 && n <= 32 && n % 8 == 0) || (n > 32 && n <= 256 && n % 16 == 0);
}

}  // namespace apprentice::simt
