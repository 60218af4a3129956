// NEON kernels of low-bit GEMM, with the dot product of Armv8.2. A tile is up to 4 panels of 4
// outputs by 5 to 8 rows of x; a step multiplies 4 bytes of a row, a lane of 16 that were loaded
// for four steps, with 4 x 4 weights: one sdot a panel, s8 x s8 into s32, which cannot saturate.
// Weights of a tile are a byte each, unpacked once for many tiles.
//
// Products are signed by signed: unsigned x comes as x - 128 (GemmIsa::signed_x).
#include <arm_neon.h>

#include <apprentice/kernels/cpu/lowbit_epilogue_neon_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_neon_internal.h>

namespace apprentice::kernels::neon {
namespace {

/// The most rows of a tile, by panels - 1: sums, rows of x and weights fill the 32 registers.
constexpr int kTileRows[] = {8, 8, 6, 5};

void copy(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to) {
  const uint8x16_t bits = vdupq_n_u8(flip);
  int64_t k = 0;
  for (; k + 16 <= count; k += 16) vst1q_u8(to + k, veorq_u8(vld1q_u8(from + k), bits));
  for (; k < count; ++k) to[k] = from[k] ^ flip;
}

/// The low bytes of the codes of 4 numbers; NaN becomes the lowest code.
inline uint32_t code_bytes(float32x4_t x, const GemmGrid& grid) {
  const float32x4_t floored = vmaxnmq_f32(vmulq_n_f32(x, grid.inv_step), vdupq_n_f32(grid.low));
  const int32x4_t codes = vcvtnq_s32_f32(vminnmq_f32(floored, vdupq_n_f32(grid.high)));
  const int16x4_t words = vmovn_s32(codes);
  return vget_lane_u32(vreinterpret_u32_s8(vmovn_s16(vcombine_s16(words, words))), 0);
}

void quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip, uint8_t* to) {
  const uint32_t bits = 0x01010101u * flip;
  int64_t k = 0;
  for (; k + kLanes <= count; k += kLanes) {
    const uint32_t bytes = code_bytes(vld1q_f32(from + k), grid) ^ bits;
    __builtin_memcpy(to + k, &bytes, 4);
  }
  if (k == count) return;
  const uint32_t bytes = code_bytes(load_floats(from + k, count - k), grid) ^ bits;
  for (int64_t rest = k; rest < count; ++rest) to[rest] = uint8_t(bytes >> (8 * (rest - k)));
}

template <int Lane, int Panels, int Rows>
inline void add_step(const int8_t* w, const int8x16_t (&x)[Rows], int32x4_t (&sums)[Rows][Panels]) {
#pragma GCC unroll 4
  for (int p = 0; p < Panels; ++p) {
    const int8x16_t v = vld1q_s8(w + (Lane * Panels + p) * 16);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sums[r][p] = vdotq_laneq_s32(sums[r][p], v, x[r], Lane);
  }
}

template <int Panels, int Rows>
void tile(const GemmTile& t) {
  int32x4_t sums[Rows][Panels];
  int8x16_t x[Rows];
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      sums[r][p] = vld1q_s32(t.from + r * t.from_step + p * kLanes);
    }
  }
  const auto* from = reinterpret_cast<const int8_t*>(t.x);
  const int8_t* w = t.w;
  int64_t left = t.steps;
  for (; left >= 4; left -= 4, from += 16, w += 4 * Panels * 16) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) x[r] = vld1q_s8(from + r * t.x_step);
    add_step<0>(w, x, sums);
    add_step<1>(w, x, sums);
    add_step<2>(w, x, sums);
    add_step<3>(w, x, sums);
  }
  if (left > 0) {  // two steps: the last block of 4-bit codes
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      x[r] = vcombine_s8(vld1_s8(from + r * t.x_step), vdup_n_s8(0));
    }
    add_step<0>(w, x, sums);
    add_step<1>(w, x, sums);
  }
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) vst1q_s32(t.to + r * t.to_step + p * kLanes, sums[r][p]);
  }
}

void multiply(const GemmTile& t, int64_t panels, int64_t rows) {
  using Tile = void (*)(const GemmTile&);
  static constexpr Tile kTiles[][8] = {
      {tile<1, 1>, tile<1, 2>, tile<1, 3>, tile<1, 4>, tile<1, 5>, tile<1, 6>, tile<1, 7>,
       tile<1, 8>},
      {tile<2, 1>, tile<2, 2>, tile<2, 3>, tile<2, 4>, tile<2, 5>, tile<2, 6>, tile<2, 7>,
       tile<2, 8>},
      {tile<3, 1>, tile<3, 2>, tile<3, 3>, tile<3, 4>, tile<3, 5>, tile<3, 6>},
      {tile<4, 1>, tile<4, 2>, tile<4, 3>, tile<4, 4>, tile<4, 5>}};
  kTiles[panels - 1][rows - 1](t);
}

template <GemmWeights Kind>
void unpack(const uint8_t* packed, int64_t blocks, int64_t panels, int8_t* to) {
  using Of = Codes<Kind>;
  const Of codes;
  const int64_t stride = panels * Of::sums * 16;  // from step to step
  for (int64_t block = 0; block < blocks; ++block, to += Of::fields * stride) {
    for (int64_t p = 0; p < panels; ++p, packed += 16) {
      const Nibbles q = nibbles(vld1q_u8(packed));
      int8_t* at = to + p * Of::sums * 16;
#pragma GCC unroll 4
      for (int field = 0; field < Of::fields; ++field, at += stride) {
#pragma GCC unroll 2
        for (int sum = 0; sum < Of::sums; ++sum) {
          vst1q_s8(at + sum * 16, codes.of(q, field, sum));
        }
      }
    }
  }
}

int64_t multiply_packed(GemmWeights kind, const GemmTile& t, const uint8_t* packed, int64_t panels,
                        int64_t rows) {
  int64_t sums = panels;
  if (kind == GemmWeights::int4) {
    unpack<GemmWeights::int4>(packed, t.steps / 2, panels, t.w);
  } else if (kind == GemmWeights::ternary) {
    unpack<GemmWeights::ternary>(packed, t.steps / 4, panels, t.w);
  } else {
    unpack<GemmWeights::two_step>(packed, t.steps / 4, panels, t.w);
    sums = 2 * panels;
  }
  const int64_t done = rows < kTileRows[sums - 1] ? rows : kTileRows[sums - 1];
  multiply(t, sums, done);
  return done;
}

/// One row of 4 outputs, of which `left` are there, `at` in the output arrays.
inline void finish_row(const GemmOutputs& o, const int32_t* sums, int64_t at, int64_t first,
                       int64_t left) {
  const int32x4_t acc = vld1q_s32(sums);
  if (o.acc) store_sums(o.acc + at, acc, left);
  const int32x4_t negative = o.two_step ? vld1q_s32(sums + kLanes) : vdupq_n_s32(0);
  if (o.two_step && o.negative) store_sums(o.negative + at, negative, left);
  if (!o.y) return;
  float32x4_t t = load_floats(o.b + first, left);
  if (o.two_step) {
    t = vfmsq_f32(t, vcvtq_f32_s32(negative), load_floats(o.a_negative + first, left));
  }
  t = vfmaq_f32(t, vcvtq_f32_s32(acc), load_floats(o.a + first, left));
  if (o.residual) {
    t = vfmaq_f32(t, load_codes(o.residual + at, 0, left), vdupq_n_f32(o.r));
  }
  store_codes(o.y + at, t, o.max_code, left);
}

void finish(const GemmOutputs& o, const int32_t* sums, int64_t panels, int64_t row, int64_t rows,
            int64_t first) {
  const int64_t step = panels * kLanes, parts = o.two_step ? 2 : 1;
  for (int64_t p = 0; p < panels; p += parts, first += kLanes, sums += parts * kLanes) {
    const int64_t left = o.n - first;
    if (left <= 0) return;
    for (int64_t i = 0; i < rows; ++i) {
      finish_row(o, sums + i * step, (row + i) * o.n + first, first, left);
    }
  }
}

void finish_values(const GemmOutputs& o, const float* values, int64_t packed_panels, int64_t row,
                   int64_t rows, int64_t first) {
  for (int64_t i = row; i < row + rows; ++i) {
    for (int64_t p = 0; p < packed_panels; ++p, values += kLanes) {
      const int64_t output = first + p * kLanes, at = i * o.n + output, left = o.n - output;
      if (left <= 0) continue;
      float32x4_t t = vld1q_f32(values);
      if (o.residual) {
        t = vfmaq_f32(t, load_codes(o.residual + at, 0, left), vdupq_n_f32(o.r));
      }
      if (o.value) store_sums(o.value + at, t, left);
      if (o.y) store_codes(o.y + at, t, o.max_code, left);
    }
  }
}

}  // namespace

void fold(const GemmFold& f) {
  const int64_t parts = f.two_step ? 2 : 1, width = f.packed_panels * kLanes;
  for (int64_t p = 0; p < f.packed_panels; ++p) {
    const int64_t left = f.outputs - p * kLanes;
    if (left <= 0) return;
    const float32x4_t a = load_floats(f.a + p * kLanes, left);
    const float32x4_t a_negative =
        f.two_step ? load_floats(f.a_negative + p * kLanes, left) : vdupq_n_f32(0);
    const int32_t* sums = f.sums + p * parts * kLanes;
    float* value = f.values + p * kLanes;
    for (int64_t i = 0; i < f.rows; ++i, sums += parts * width, value += width) {
      float32x4_t t = vld1q_f32(value);
      if (f.two_step) t = vfmsq_f32(t, vcvtq_f32_s32(vld1q_s32(sums + kLanes)), a_negative);
      vst1q_f32(value, vfmaq_f32(t, vcvtq_f32_s32(vld1q_s32(sums)), a));
    }
  }
}

const GemmIsa lowbit_gemm{
    .lanes = kLanes,
    .group_panels = 4,
    .tile_rows = {kTileRows[0], kTileRows[1], kTileRows[2], kTileRows[3]},
    .gemv_rows = 4,
    .few_rows = 4,
    .copy = copy,
    .multiply_packed = multiply_packed,
    .multiply = multiply,
    .gemv = lowbit_gemv,
    .finish = finish,
    .signed_x = true,
    .quantize = quantize,
    .fold = fold,
    .finish_values = finish_values,
};

}  // namespace apprentice::kernels::neon
