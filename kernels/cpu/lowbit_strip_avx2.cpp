// AVX2 kernel of low-bit convolution. A register block is 1 or 2 panels of 8 outputs by
// kPixels output pixels; a step broadcasts 4 input bytes of a pixel and multiplies them with 8 x 4
// weights by vpmaddubsw. Pairs are summed in s16 for `flush_steps` steps, which cannot saturate
// (64 * 2 * 255 for ternary, 8 * 2 * 255 * 8 for 4-bit codes, both 32640), then widened to s32.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>

namespace apprentice::kernels::avx2 {
namespace {

constexpr int64_t kLanes = 8;
constexpr int kMostPixels = 4;

/// Where the results of one output pixel go.
struct Pixel {
  int64_t offset;  ///< of its channel 0 in the outputs
  const uint8_t* residual;
};

inline Pixel pixel_of(const LowbitStrip& s, int64_t row, int64_t col) {
  const int64_t step = row * s.residual_row_step + col * s.residual_col_step;
  return {(row * s.cols + col) * s.out, s.residual ? s.residual + step : nullptr};
}

inline __m256i lane_mask(int64_t count) {
  const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(int(count > kLanes ? kLanes : count)), lane);
}

/// Codes of the shortcut for channels [first, first + 8) as f32; channels that it lacks are 0.
inline __m256 shortcut(const LowbitStrip& s, int64_t first, const uint8_t* codes) {
  const int64_t begin = first - s.residual_first;
  long long bytes = 0;
  if (begin >= 0 && begin + kLanes <= s.residual_channels) {
    __builtin_memcpy(&bytes, codes + begin, 8);
  } else {
    for (int64_t k = 0; k < kLanes; ++k) {
      const int64_t c = begin + k;
      if (c >= 0 && c < s.residual_channels) bytes |= (long long)(codes[c]) << (8 * k);
    }
  }
  return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_cvtsi64_si128(bytes)));
}

inline void store_codes(const LowbitStrip& s, __m256 t, int64_t left, uint8_t* y) {
  t = _mm256_min_ps(_mm256_max_ps(t, _mm256_setzero_ps()), _mm256_set1_ps(s.max_code));
  const __m256i code = _mm256_cvtps_epi32(t);
  const __m128i words =
      _mm_packus_epi32(_mm256_castsi256_si128(code), _mm256_extracti128_si256(code, 1));
  const long long bytes = _mm_cvtsi128_si64(_mm_packus_epi16(words, words));
  if (left >= kLanes) {
    __builtin_memcpy(y, &bytes, 8);
  } else {
    for (int64_t k = 0; k < left; ++k) y[k] = uint8_t(bytes >> (8 * k));
  }
}

/// Stores what is wanted of channels [8 * block, ...) of one pixel.
template <bool TwoStep>
inline void finish(const LowbitStrip& s, int64_t block, const Pixel& p, __m256i acc,
                   __m256i negative) {
  const int64_t first = block * kLanes, left = s.out - first, at = p.offset + first;
  const __m256i mask = lane_mask(left);
  if (s.acc) _mm256_maskstore_epi32(s.acc + at, mask, acc);
  if (s.acc_f32) _mm256_maskstore_ps(s.acc_f32 + at, mask, _mm256_cvtepi32_ps(acc));
  if (TwoStep && s.negative) _mm256_maskstore_epi32(s.negative + at, mask, negative);
  if (!s.y) return;
  __m256 t = _mm256_maskload_ps(s.b + first, mask);
  if (TwoStep) {
    t = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(negative),
                         _mm256_maskload_ps(s.a_negative + first, mask), t);
  }
  t = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc), _mm256_maskload_ps(s.a + first, mask), t);
  if (s.residual) {
    t = _mm256_fmadd_ps(shortcut(s, first, p.residual), _mm256_set1_ps(s.r), t);
  }
  store_codes(s, t, left, s.y + at);
}

template <int Panels, int Pixels>
inline void flush(__m256i (&narrow)[Panels][Pixels], __m256i (&wide)[Panels][Pixels]) {
  const __m256i one = _mm256_set1_epi16(1);
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) {
      wide[k][p] = _mm256_add_epi32(wide[k][p], _mm256_madd_epi16(narrow[k][p], one));
      narrow[k][p] = _mm256_setzero_si256();
    }
  }
}

/// Adds `steps` steps from `panel` and `x` to the s16 sums.
template <int Panels, int Pixels>
inline void add_steps(const LowbitStrip& s, const int8_t* panel, const uint8_t* x, int64_t steps,
                      __m256i (&narrow)[Panels][Pixels]) {
  for (int64_t step = 0; step < steps; ++step) {
    __m256i w[Panels];
#pragma GCC unroll 2
    for (int k = 0; k < Panels; ++k) {
      w[k] = _mm256_load_si256((const __m256i*)(panel + step * 32 + k * s.panel_bytes));
    }
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) {
      int32_t bytes;
      __builtin_memcpy(&bytes, x + p * s.col_step + step * 4, 4);
      const __m256i v = _mm256_set1_epi32(bytes);
#pragma GCC unroll 2
      for (int k = 0; k < Panels; ++k) {
        narrow[k][p] = _mm256_add_epi16(narrow[k][p], _mm256_maddubs_epi16(v, w[k]));
      }
    }
  }
}

template <int Panels, int Pixels>
inline void multiply(const LowbitStrip& s, const int8_t* panel, const uint8_t* x,
                     __m256i (&wide)[Panels][Pixels]) {
  __m256i narrow[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) narrow[k][p] = _mm256_setzero_si256();
  }
  int64_t room = s.flush_steps;
  for (int64_t run = 0; run < s.runs; ++run) {
    const uint8_t* at = x + s.run_offset[run];
    for (int64_t step = 0; step < s.run_steps;) {
      const int64_t left = s.run_steps - step, count = left < room ? left : room;
      add_steps<Panels, Pixels>(s, panel, at + step * 4, count, narrow);
      panel += count * 32;
      step += count;
      room -= count;
      if (room == 0) {
        flush<Panels, Pixels>(narrow, wide);
        room = s.flush_steps;
      }
    }
  }
  flush<Panels, Pixels>(narrow, wide);
}

/// Pixels neighbouring output pixels from column `col` of row `row`; `block` is the first block of
/// 8 outputs, of which there are Panels (one step) or one (two steps: panels P and N).
template <int Panels, int Pixels, bool TwoStep>
void tile(const LowbitStrip& s, int64_t block, int64_t row, int64_t col) {
  __m256i acc[Panels][Pixels];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 4
    for (int p = 0; p < Pixels; ++p) acc[k][p] = _mm256_setzero_si256();
  }
  const int8_t* panel = s.panels + block * (TwoStep ? 2 : 1) * s.panel_bytes;
  multiply<Panels, Pixels>(s, panel, s.x + row * s.row_step + col * s.col_step, acc);

  constexpr int kBlocks = TwoStep ? 1 : Panels;
  for (int p = 0; p < Pixels; ++p) {
    const Pixel pixel = pixel_of(s, row, col + p);
    for (int k = 0; k < kBlocks; ++k) {
      finish<TwoStep>(s, block + k, pixel, acc[k][p], acc[Panels - 1][p]);
    }
  }
}

template <int Panels, bool TwoStep>
void tile_rows(const LowbitStrip& s, int64_t block) {
  for (int64_t row = 0; row < s.rows; ++row) {
    int64_t col = 0;
    for (; col + kMostPixels <= s.cols; col += kMostPixels) {
      tile<Panels, kMostPixels, TwoStep>(s, block, row, col);
    }
    for (; col < s.cols; ++col) tile<Panels, 1, TwoStep>(s, block, row, col);
  }
}

}  // namespace

void lowbit_strip(const LowbitStrip& s) {
  int64_t block = s.first_block;
  if (s.two_step) {
    for (; block < s.end_block; ++block) tile_rows<2, true>(s, block);
    return;
  }
  for (; block + 2 <= s.end_block; block += 2) tile_rows<2, false>(s, block);
  if (block < s.end_block) tile_rows<1, false>(s, block);
}

}  // namespace apprentice::kernels::avx2
