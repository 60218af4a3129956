#pragma once

#include <cmath>

#include <apprentice/kernels/lowbit_fragments.h>
#include <apprentice/kernels/simt/simt.h>

// Ternary and 4-bit weights by 8-bit activations on tensor cores (mma.sync): the convolution and,
// with images of one pixel, the GEMM. Any shape; integers are exact.
namespace apprentice::kernels::SIMT_NS {

/// acc[j, o] = sum over k of x(j, k) t[o, k] for output pixels j = (image, p, q) and k = (r, s, c),
/// and what kernels/lowbit_conv2d.h makes of it. Absent memory is null.
struct LowbitMma {
  const unsigned char* x;  ///< [images, h, w, c]
  int copy_bytes;          ///< that lie together and aligned, whatever the pixel: 16, 4 or 1
  int h, w, c, kw;
  int stride[2], padding[2], dilation[2];
  int out_h, out_w, out;
  int64_t pixels;
  const uint32_t* words;  ///< fragments (kernels/lowbit_fragments.h)
  FragmentLayout layout;

  int *acc, *negative;  ///< [pixels, out]
  float* acc_f32;
  unsigned char* y;
  bool vectors;  ///< four outputs lie together and aligned in all of these
  const float *a, *a_negative, *b;
  float r, max_code;
  const unsigned char* residual;
  int64_t residual_image, residual_row, residual_col;  ///< bytes an output pixel
  int residual_first, residual_channels;               ///< its channel 0 is output residual_first
};

/// A block computes 64 pixels by 32, 64 or 128 outputs with 2, 4 or 8 warps of 32 x 32; warp w
/// takes pixels 32 (w % 2) and strip w / 2 of the block. Slabs of 128 columns of x pass through
/// three stages of shared memory, [pixel][16-byte chunk], the chunks of a row permuted so that
/// ldmatrix meets no bank conflict; a barrier a slab. Weights go from memory to registers, one slab
/// ahead.
struct LowbitTile {
  static constexpr int pixels = 64, stages = 3, depth = int(FragmentLayout::slab_depth);
  static constexpr int stage_bytes = pixels * depth;
  static SIMT_CX int chunk(int pixel, int c) { return pixel * depth + ((c ^ (pixel & 7)) << 4); }
};

/// Where an output pixel reads.
struct LowbitPixel {
  int64_t x, residual;  ///< bytes from the start; of x to its window's corner, also outside
  int row, col;         ///< of the corner
};
inline constexpr size_t kLowbitSharedBytes =
    LowbitTile::stages * LowbitTile::stage_bytes + LowbitTile::pixels * sizeof(LowbitPixel);

/// What no image has: rows before the first even with any tap, behind the last with any pixel.
inline constexpr int kNoPixel = -(1 << 30), kNoTap = 1 << 29;

SIMT_FN LowbitPixel lowbit_pixel(const LowbitMma& p, int64_t j) {
  if (j >= p.pixels) return {0, 0, kNoPixel, kNoPixel};
  const int q = int(j % p.out_w), row = int(j / p.out_w % p.out_h);
  const int64_t image = j / p.out_w / p.out_h;
  LowbitPixel at;
  at.row = row * p.stride[0] - p.padding[0];
  at.col = q * p.stride[1] - p.padding[1];
  at.x = ((image * p.h + at.row) * p.w + at.col) * p.c;
  at.residual = image * p.residual_image + row * p.residual_row + q * p.residual_col;
  return at;
}

/// Column k of the window.
struct LowbitTap {
  int row, col;
  int64_t offset;  ///< in bytes from the corner
};
SIMT_FN LowbitTap lowbit_tap(const LowbitMma& p, int k) {
  if (k >= p.layout.cols) return {kNoTap, kNoTap, 0};
  const int tap = k / p.c;
  const int row = tap / p.kw * p.dilation[0], col = tap % p.kw * p.dilation[1];
  return {row, col, (int64_t(row) * p.w + col) * p.c + k % p.c};
}
SIMT_FN bool lowbit_inside(const LowbitMma& p, const LowbitPixel& at, const LowbitTap& tap) {
  return unsigned(at.row + tap.row) < unsigned(p.h) && unsigned(at.col + tap.col) < unsigned(p.w);
}

/// Begins to copy Bytes (16 or 4) of a chunk of all pixels, zeros where x ends.
template <int Bytes>
SIMT_FN void copy_pixels(const LowbitMma& p, const LowbitPixel* pixels, unsigned char* stage, int k,
                         int in_chunk) {
  const LowbitTap tap = lowbit_tap(p, k + in_chunk);
  for (int j = int(threadIdx.x) / 8; j < LowbitTile::pixels; j += int(blockDim.x) / 8) {
    const bool inside = lowbit_inside(p, pixels[j], tap);
    simt::cp_async<Bytes>(stage + LowbitTile::chunk(j, k / 16 % 8) + in_chunk,
                          p.x + (inside ? pixels[j].x + tap.offset : 0), inside ? Bytes : 0);
  }
}

/// Copies 4 bytes of a chunk of all pixels one by one.
SIMT_FN void gather_pixels(const LowbitMma& p, const LowbitPixel* pixels, unsigned char* stage,
                           int k, int in_chunk) {
  LowbitTap taps[4];
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i) taps[i] = lowbit_tap(p, k + in_chunk + i);
  for (int j = int(threadIdx.x) / 8; j < LowbitTile::pixels; j += int(blockDim.x) / 8) {
    uint32_t word = 0;
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (lowbit_inside(p, pixels[j], taps[i]))
        word |= uint32_t(p.x[pixels[j].x + taps[i].offset]) << 8 * i;
    }
    simt::store_as<uint32_t>(stage + LowbitTile::chunk(j, k / 16 % 8) + in_chunk, word);
  }
}

/// Thread t copies chunk t % 8 of pixels t / 8, t / 8 + threads / 8, ...
SIMT_FN void load_slab(const LowbitMma& p, const LowbitPixel* pixels, unsigned char* stage,
                       int slab) {
  const int k = slab * LowbitTile::depth + int(threadIdx.x) % 8 * 16;
  if (p.copy_bytes == 16) {
    copy_pixels<16>(p, pixels, stage, k, 0);
    return;
  }
  for (int in_chunk = 0; in_chunk < 16; in_chunk += 4) {
    if (p.copy_bytes == 4) {
      copy_pixels<4>(p, pixels, stage, k, in_chunk);
    } else {
      gather_pixels(p, pixels, stage, k, in_chunk);
    }
  }
}

/// A lane's words of a block: of each of two fragments of 16 rows, the slab's.
template <int Bits>
struct LowbitWords {
  uint32_t of[2][2 * Bits];
};
template <int Bits>
SIMT_FN LowbitWords<Bits> load_words(const uint32_t* block) {
  LowbitWords<Bits> words;
  SIMT_UNROLL
  for (int i = 0; i < Bits; ++i) {
    const auto v = simt::load_as<simt::U32x4>(block + (i * 32 + int(threadIdx.x) % 32) * 4);
    uint32_t* to = words.of[i / (Bits / 2)] + i % (Bits / 2) * 4;
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  }
  return words;
}

/// The operand of 16 rows and 32 columns, fragment_factor times the codes.
template <int Bits>
SIMT_FN void decode_fragment(const uint32_t* words, uint32_t (&a)[4]) {
  SIMT_UNROLL
  for (int r = 0; r < 4; ++r) {
    if constexpr (Bits == 2) {
      a[r] = (words[0] << (2 * r)) & 0xC0C0C0C0u;
    } else {
      a[r] = (words[r / 2] << (r % 2 * 4)) & 0xF0F0F0F0u;
    }
  }
}

/// A warp's sums, `fragment_factor` times the accumulators: [fragment of rows][8 pixels][register].
/// With two steps of the +1 and, apart, of the -1.
template <bool TwoStep>
struct LowbitSums {
  int positive[2][4][4] = {}, negative[TwoStep ? 2 : 1][TwoStep ? 4 : 1][4] = {};
};

/// Adds 32 pixels from `first` on by a slab of weights.
template <class X, int Bits, bool TwoStep>
SIMT_FN void multiply_slab(const unsigned char* stage, int first, const LowbitWords<Bits>& words,
                           LowbitSums<TwoStep>& sums) {
  const int lane = int(threadIdx.x) % 32;
  SIMT_UNROLL
  for (int s = 0; s < 4; ++s) {
    uint32_t x[2][4];
    SIMT_UNROLL
    for (int j = 0; j < 2; ++j) {
      const int pixel = first + 16 * j + lane / 16 * 8 + lane % 8;
      simt::ldmatrix_x4(x[j], stage + LowbitTile::chunk(pixel, 2 * s + lane / 8 % 2));
    }
    SIMT_UNROLL
    for (int i = 0; i < 2; ++i) {
      uint32_t a[4], minus[4];
      decode_fragment<Bits>(words.of[i] + s * (Bits / 2), a);
      if constexpr (TwoStep) {
        // +1 is 0x40, -1 is 0xC0.
        SIMT_UNROLL
        for (int r = 0; r < 4; ++r) {
          minus[r] = (a[r] >> 1) & 0x40404040u;
          a[r] = a[r] & ~minus[r] & 0x40404040u;
        }
      }
      SIMT_UNROLL
      for (int j = 0; j < 4; ++j) {
        const uint32_t b[2] = {x[j / 2][j % 2 * 2], x[j / 2][j % 2 * 2 + 1]};
        simt::mma_m16n8k32<int8_t, X>(sums.positive[i][j], a, b);
        if constexpr (TwoStep) simt::mma_m16n8k32<int8_t, X>(sums.negative[i][j], minus, b);
      }
    }
  }
}

}  // namespace apprentice::kernels::SIMT_NS
