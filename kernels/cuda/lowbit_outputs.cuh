#pragma once

#include <apprentice/kernels/cuda/lowbit_mma.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Stores the first `count` of four neighbours; with `vectors` all or none.
template <class T>
SIMT_FN void store_four(T* to, const T (&v)[4], int count, bool vectors) {
  if (vectors) {
    if (count <= 0) return;
    if constexpr (sizeof(T) == 1) {
      simt::store_as<uint32_t>(to, v[0] | v[1] << 8 | v[2] << 16 | uint32_t(v[3]) << 24);
    } else {
      const auto bits = [](T value) { return __builtin_bit_cast(uint32_t, value); };
      simt::store_as(to, simt::U32x4{bits(v[0]), bits(v[1]), bits(v[2]), bits(v[3])});
    }
    return;
  }
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i)
    if (i < count) to[i] = v[i];
}

/// Constants of the epilogue (kernels/epilogue.h) of four neighbouring outputs.
struct LowbitConstants {
  float a[4], a_negative[4], b[4];
};
template <bool TwoStep>
SIMT_FN LowbitConstants load_constants(const LowbitMma& p, int output) {
  LowbitConstants e = {};
  if (!p.y) return e;
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i) {
    if (output + i >= p.out) continue;
    e.a[i] = p.a[output + i];
    e.b[i] = p.b[output + i];
    if constexpr (TwoStep) e.a_negative[i] = p.a_negative[output + i];
  }
  return e;
}

/// round_to_code of the epilogue.
SIMT_FN unsigned char lowbit_code(float t, float max_code) {
  const float low = t > 0 ? t : 0;
  return static_cast<unsigned char>(simt::round_to_int(low < max_code ? low : max_code));
}

/// The shortcut's part for an output of the pixel.
SIMT_FN float add_residual(const LowbitMma& p, const LowbitPixel& at, int output, float t) {
  const int c = output - p.residual_first;
  const bool present = unsigned(c) < unsigned(p.residual_channels);
  return fmaf(present ? float(p.residual[at.residual + c]) : 0.0f, p.r, t);
}

/// Stores accumulators of a pixel for four neighbouring outputs, and their codes.
template <bool TwoStep>
SIMT_FN void store_pixel(const LowbitMma& p, const LowbitPixel& at, const LowbitConstants& e,
                         int64_t pixel, int output, const int (&acc)[4], const int (&negative)[4]) {
  const int64_t to = pixel * p.out + output;
  const int count = p.out - output;
  if (p.acc) store_four(p.acc + to, acc, count, p.vectors);
  if (TwoStep && p.negative) store_four(p.negative + to, negative, count, p.vectors);
  if (p.acc_f32) {
    const float sums[4] = {float(acc[0]), float(acc[1]), float(acc[2]), float(acc[3])};
    store_four(p.acc_f32 + to, sums, count, p.vectors);
  }
  if (!p.y) return;
  unsigned char codes[4];
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i) {
    const float b = TwoStep ? fmaf(-float(negative[i]), e.a_negative[i], e.b[i]) : e.b[i];
    float t = fmaf(float(acc[i]), e.a[i], b);
    if (p.residual) t = add_residual(p, at, output + i, t);
    codes[i] = lowbit_code(t, p.max_code);
  }
  store_four(p.y + to, codes, count, p.vectors);
}

/// Stores a warp's sums. Lane 4g + t has outputs 4g to 4g + 3 of the strip for pixels 2t and
/// 2t + 1 of each eight: register i of fragment f is output 4g + 2f + i / 2, pixel 2t + i % 2.
template <int Bits, bool TwoStep>
SIMT_FN void store_sums(const LowbitMma& p, const LowbitPixel* pixels, int64_t block_pixel,
                        int first, int strip, const LowbitSums<TwoStep>& sums) {
  constexpr int kShift = 8 - Bits;  // exact: sums are multiples of the factor
  const int lane = int(threadIdx.x) % 32, output = 32 * strip + lane / 4 * 4;
  const LowbitConstants e = load_constants<TwoStep>(p, output);
  SIMT_UNROLL
  for (int j = 0; j < 4; ++j) {
    SIMT_UNROLL
    for (int h = 0; h < 2; ++h) {
      const int pixel = first + 8 * j + lane % 4 * 2 + h;
      if (block_pixel + pixel >= p.pixels) continue;
      int acc[4], negative[4] = {};
      SIMT_UNROLL
      for (int i = 0; i < 4; ++i) {
        acc[i] = sums.positive[i / 2][j][i % 2 * 2 + h] >> kShift;
        if constexpr (TwoStep) negative[i] = sums.negative[i / 2][j][i % 2 * 2 + h] >> kShift;
      }
      store_pixel<TwoStep>(p, pixels[pixel], e, block_pixel + pixel, output, acc, negative);
    }
  }
}

/// Block b computes pixels from 64 (b / tiles) on, where `tiles` of 32 (threads / 64) outputs are
/// all, and of them tile b % tiles, so that blocks that run together share x.
template <class X, int Bits, bool TwoStep>
SIMT_KERNEL_BOUNDS(256, 2)
lowbit_mma(LowbitMma p) {
  using T = LowbitTile;
  auto* shared = simt::dynamic_shared<unsigned char>();
  auto* pixels = reinterpret_cast<LowbitPixel*>(shared + T::stages * T::stage_bytes);
  const int warp = int(threadIdx.x) / 32, strips = int(blockDim.x) / 64;
  const int tiles = (int(p.layout.strips()) + strips - 1) / strips;
  const int64_t block_pixel = int64_t(int(blockIdx.x) / tiles) * T::pixels;
  const int strip = int(blockIdx.x) % tiles * strips + warp / 2, first = warp % 2 * 32;
  const bool active = strip < p.layout.strips();
  const int slabs = int(p.layout.slabs());
  const auto words_of = [&](int slab) {
    return load_words<Bits>(p.words +
                            p.layout.block(strip, slab) * FragmentLayout::block_words(Bits));
  };

  if (int(threadIdx.x) < T::pixels)
    pixels[threadIdx.x] = lowbit_pixel(p, block_pixel + int(threadIdx.x));
  simt::sync_block();
  for (int slab = 0; slab < T::stages - 1; ++slab) {
    if (slab < slabs) load_slab(p, pixels, shared + slab * T::stage_bytes, slab);
    simt::cp_async_commit();
  }
  LowbitSums<TwoStep> sums;
  LowbitWords<Bits> words = {}, next = {};
  if (active && slabs > 0) next = words_of(0);
  for (int slab = 0; slab < slabs; ++slab) {
    simt::cp_async_wait<T::stages - 2>();
    simt::sync_block();  // the slab is there, and the stage before it is free
    const int ahead = slab + T::stages - 1;
    if (ahead < slabs) load_slab(p, pixels, shared + ahead % T::stages * T::stage_bytes, ahead);
    simt::cp_async_commit();
    words = next;
    if (active && slab + 1 < slabs) next = words_of(slab + 1);
    multiply_slab<X, Bits, TwoStep>(shared + slab % T::stages * T::stage_bytes, first, words, sums);
  }
  if (active) store_sums<Bits, TwoStep>(p, pixels, block_pixel, first, strip, sums);
}

inline int64_t lowbit_pixel_blocks(const LowbitMma& p) {
  return (p.pixels + LowbitTile::pixels - 1) / LowbitTile::pixels;
}
/// The strips of a block, 4, 2 or 1: few enough that every multiprocessor of a large GPU has one.
inline int lowbit_block_strips(const LowbitMma& p) {
  constexpr int64_t kBlocks = 132;
  const int64_t strips = p.layout.strips();
  int most = 4;
  while (most > 1 &&
         (most > strips || (strips + most - 1) / most * lowbit_pixel_blocks(p) < kBlocks))
    most /= 2;
  return most;
}

template <class X, int Bits>
void launch_lowbit_mma(const LowbitMma& p, bool two_step, int block_strips, simt::Stream stream) {
  if (p.pixels == 0 || p.out == 0) return;
  const int64_t tiles = (p.layout.strips() + block_strips - 1) / block_strips;
  auto* kernel = lowbit_mma<X, Bits, false>;
  if constexpr (Bits == 2) {
    if (two_step) kernel = lowbit_mma<X, Bits, true>;
  }
  simt::launch(kernel, unsigned(tiles * lowbit_pixel_blocks(p)), unsigned(64 * block_strips),
               kLowbitSharedBytes, stream, p);
}

}  // namespace apprentice::kernels::SIMT_NS
