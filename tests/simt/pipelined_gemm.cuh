#pragma once

#include <vector>

#include <apprentice/kernels/simt/simt.h>

// A kernel as real ones are built, for tests of the emulator: cp.async double buffering, ldmatrix,
// decoding in registers, mma.sync, a tail of rows and columns.
namespace apprentice::kernels {

/// Ternary weights [n, k], k a multiple of 64, in words of 16 codes (0, 1, 2 = -1): element
/// k = 64 kb + 32 s + 16 h + 4 q + j of a row lies in word 4 kb + q, bits 16 s + 4 j + 2 h.
inline std::vector<uint32_t> pack_ternary_words(const std::vector<int8_t>& w, int n, int k) {
  std::vector<uint32_t> words(size_t(n) * k / 16, 0);
  for (int row = 0; row < n; ++row)
    for (int c = 0; c < k; ++c) {
      const int v = w[size_t(row) * k + c];
      const int s = c / 32 % 2, h = c / 16 % 2, q = c / 4 % 4, j = c % 4;
      words[size_t(row) * k / 16 + c / 64 * 4 + q] |= uint32_t(v < 0 ? 2 : v)
                                                      << (16 * s + 4 * j + 2 * h);
    }
  return words;
}

namespace SIMT_NS {

struct PipelinedTile {
  static constexpr int m = 64, n = 64, k = 64, threads = 128, stages = 2;
  static constexpr int x_bytes = m * k, stage_bytes = x_bytes + n * k / 4;
};

/// y [m, n] = x [m, k] w [n, k]^T. Block: 64 x 64 of y by 4 warps of 32 x 32; grid (n, m) in tiles.
/// Shared memory: two stages of x (64 rows of 64 bytes) and packed w (64 rows of 16 bytes).
/// Swizzled: the chunks of a row of x are permuted, so that ldmatrix meets no bank conflict.
template <bool Swizzled>
SIMT_KERNEL_BOUNDS(128, 4)
pipelined_gemm(const int8_t* SIMT_RESTRICT x, const uint32_t* SIMT_RESTRICT w, int* SIMT_RESTRICT y,
               int m, int n, int k) {
  using T = PipelinedTile;
  unsigned char* shared = simt::dynamic_shared<unsigned char>();
  const int tid = int(threadIdx.x), lane = tid % 32, warp = tid / 32;
  const int m0 = int(blockIdx.y) * T::m, n0 = int(blockIdx.x) * T::n;
  const int warp_m = warp / 2 * 32, warp_n = warp % 2 * 32;
  const auto chunk = [](int row, int c) {
    return row * 64 + (Swizzled ? (c ^ (row >> 1 & 3)) * 16 : c * 16);
  };
  const auto load = [&](int step) {
    unsigned char* stage = shared + step % T::stages * T::stage_bytes;
    SIMT_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int row = tid / 4 + 32 * i, c = tid % 4;
      const bool inside = m0 + row < m;
      simt::cp_async(stage + chunk(row, c),
                     x + size_t(inside ? m0 + row : 0) * k + step * 64 + c * 16, inside ? 16 : 0);
    }
    if (tid < 64) {
      const bool inside = n0 + tid < n;
      simt::cp_async(stage + T::x_bytes + tid * 16,
                     w + size_t(inside ? n0 + tid : 0) * (k / 16) + step * 4, inside ? 16 : 0);
    }
    simt::cp_async_commit();
  };

  int sums[2][4][4] = {};
  const int steps = k / 64;
  load(0);
  for (int step = 0; step < steps; ++step) {
    if (step + 1 < steps) {
      load(step + 1);
      simt::cp_async_wait<1>();
    } else {
      simt::cp_async_wait<0>();
    }
    simt::sync_block();
    const unsigned char* stage = shared + step % T::stages * T::stage_bytes;
    uint32_t codes[4];
    SIMT_UNROLL
    for (int j = 0; j < 4; ++j)
      codes[j] = simt::load_as<uint32_t>(stage + T::x_bytes + (warp_n + 8 * j + lane / 4) * 16 +
                                         lane % 4 * 4);
    SIMT_UNROLL
    for (int s = 0; s < 2; ++s) {
      uint32_t a[2][4];
      SIMT_UNROLL
      for (int i = 0; i < 2; ++i)
        simt::ldmatrix_x4(a[i], stage + chunk(warp_m + 16 * i + lane % 16, 2 * s + lane / 16));
      SIMT_UNROLL
      for (int j = 0; j < 4; ++j) {
        const uint32_t bits = codes[j] >> 16 * s;
        const uint32_t b[2] = {simt::prmt(0x00ff0100u, 0, bits & 0x3333u),
                               simt::prmt(0x00ff0100u, 0, bits >> 2 & 0x3333u)};
        SIMT_UNROLL
        for (int i = 0; i < 2; ++i) simt::mma_m16n8k32(sums[i][j], a[i], b);
      }
    }
    simt::sync_block();  // the next iteration overwrites this stage
  }
  SIMT_UNROLL
  for (int e = 0; e < 32; ++e) {
    const int i = e / 16, j = e / 4 % 4, at = e % 4;
    const int row = m0 + warp_m + 16 * i + lane / 4 + 8 * (at / 2);
    const int column = n0 + warp_n + 8 * j + lane % 4 * 2 + at % 2;
    if (row < m && column < n) y[size_t(row) * n + column] = sums[i][j][at];
  }
}

template <bool Swizzled = true>
void launch_pipelined_gemm(const int8_t* x, const uint32_t* w, int* y, int m, int n, int k) {
  using T = PipelinedTile;
  const simt::Grid grid(unsigned((n + T::n - 1) / T::n), unsigned((m + T::m - 1) / T::m));
  simt::launch(pipelined_gemm<Swizzled>, grid, T::threads, T::stages * T::stage_bytes, nullptr, x,
               w, y, m, n, k);
}

}  // namespace SIMT_NS
}  // namespace apprentice::kernels
