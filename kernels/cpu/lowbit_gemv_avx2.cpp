// AVX2 kernel of low-bit GEMV: packed weights stream through once. A field is shifted to the bottom
// of its byte and masked, and vpmaddubsw multiplies it, unsigned, with 4 broadcast bytes of signed
// x. Pairs are summed in s16 over kNarrowBlocks blocks, which cannot saturate, then widened.
//
// Weights are code + offset, so that offset * sum(x) is taken off. Of two steps P is the field's
// upper bit (code + 1 = 2), and N = P - sum of code * x.
#include <apprentice/kernels/cpu/lowbit_gemm_avx2_internal.h>

namespace apprentice::kernels::avx2 {
namespace {

constexpr int64_t kAhead = 2048;  ///< bytes of weights asked for before they are needed

/// Sums of Rows rows: `Sums` an output, which are panels, or of one panel the codes and P.
template <int Bits, int Sums, int Rows, bool TwoStep>
struct Tile {
  static constexpr int kFields = 8 / Bits;
  // Pairs of ternary codes give up to 2 * 2 * 128, of 4-bit codes up to 2 * 15 * 128.
  static constexpr int64_t kNarrowBlocks = Bits == 2 ? 15 : 4;
  static constexpr int kPanels = TwoStep ? 1 : Sums;

  /// The weights of sum s in field f of q.
  static __m256i weights(__m256i q, int f, int s) {
    const bool upper = TwoStep && s == 1;
    const int mask = upper ? 1 : (1 << Bits) - 1;
    return _mm256_and_si256(_mm256_srli_epi16(q, Bits * f + upper), _mm256_set1_epi8(char(mask)));
  }

  static void add_block(const uint8_t* w, const int8_t* x, int64_t x_step,
                        __m256i (&narrow)[Sums][Rows]) {
    __m256i q[kPanels];
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      _mm_prefetch((const char*)(w + kAhead + p * 32), _MM_HINT_T0);
      q[p] = _mm256_load_si256((const __m256i*)(w + p * 32));
    }
#pragma GCC unroll 4
    for (int f = 0; f < kFields; ++f) {
      __m256i v[Sums];
#pragma GCC unroll 2
      for (int s = 0; s < Sums; ++s) v[s] = weights(q[TwoStep ? 0 : s], f, s);
#pragma GCC unroll 2
      for (int r = 0; r < Rows; ++r) {
        int32_t bytes;
        __builtin_memcpy(&bytes, x + r * x_step + 4 * f, 4);
        const __m256i four = _mm256_set1_epi32(bytes);
#pragma GCC unroll 2
        for (int s = 0; s < Sums; ++s) {
          narrow[s][r] = _mm256_add_epi16(narrow[s][r], _mm256_maddubs_epi16(v[s], four));
        }
      }
    }
  }

  static void clear(__m256i (&sums)[Sums][Rows]) {
#pragma GCC unroll 2
    for (int s = 0; s < Sums; ++s) {
#pragma GCC unroll 2
      for (int r = 0; r < Rows; ++r) sums[s][r] = _mm256_setzero_si256();
    }
  }

  static void widen(__m256i (&narrow)[Sums][Rows], __m256i (&wide)[Sums][Rows]) {
#pragma GCC unroll 2
    for (int s = 0; s < Sums; ++s) {
#pragma GCC unroll 2
      for (int r = 0; r < Rows; ++r) {
        asm("" : "+x"(narrow[s][r]));  // else g++ keeps each sum of the loop twice, as two types
        const __m256i pairs = _mm256_madd_epi16(narrow[s][r], _mm256_set1_epi16(1));
        wide[s][r] = _mm256_add_epi32(wide[s][r], pairs);
      }
    }
  }

  static void run(const GemvTile& t) {
    const uint8_t* w = t.w;
    const int8_t* x = t.x;
    const int64_t x_step = t.x_step;
    int64_t left = t.blocks;
    for (int64_t span = 0; span == 0 || left > 0; ++span) {
      const int64_t blocks = t.values && t.span_blocks < left ? t.span_blocks : left;
      __m256i wide[Sums][Rows];
      clear(wide);
      for (int64_t some = blocks; some > 0; some -= kNarrowBlocks) {
        __m256i narrow[Sums][Rows];
        clear(narrow);
        for (int64_t block = some < kNarrowBlocks ? some : kNarrowBlocks; block > 0; --block) {
          add_block(w, x, x_step, narrow);
          w += kPanels * 32;
          x += kFields * 4;
        }
        widen(narrow, wide);
      }
      left -= blocks;
      __m256i sums[2][Sums];
#pragma GCC unroll 2
      for (int s = 0; s < Sums; ++s) sums[0][s] = wide[s][0], sums[1][s] = wide[s][Rows - 1];
      store<0>(t, span, sums[0]);
      if constexpr (Rows == 2) store<1>(t, span, sums[1]);
    }
  }

  /// What becomes of row R's sums.
  template <int R>
  static void store(const GemvTile& t, int64_t span, __m256i (&sums)[Sums]) {
    const int offset = Bits == 2 ? 1 : 8;
    const __m256i off = _mm256_set1_epi32(offset * t.x_sums[span * t.x_sums_step + R]);
    sums[0] = _mm256_sub_epi32(sums[0], off);
    if constexpr (TwoStep) {
      const __m256i code = sums[0];
      sums[0] = sums[1];
      sums[1] = _mm256_sub_epi32(sums[1], code);
    } else if constexpr (Sums == 2) {
      sums[1] = _mm256_sub_epi32(sums[1], off);
    }
#pragma GCC unroll 2
    for (int s = 0; s < Sums; ++s) {
      const int32_t* from = t.from + span * t.from_step + s * kLanes;
      sums[s] = _mm256_add_epi32(_mm256_loadu_si256((const __m256i*)from), sums[s]);
      if (!t.values) _mm256_storeu_si256((__m256i*)(t.to + (R * Sums + s) * kLanes), sums[s]);
    }
    if (t.values)
      fold<R>(t, t.a + span * t.a_step, TwoStep ? t.a_negative + span * t.a_step : nullptr, sums);
  }

  template <int R>
  static void fold(const GemvTile& t, const float* a, const float* a_negative,
                   const __m256i (&sums)[Sums]) {
#pragma GCC unroll 2
    for (int p = 0; p < kPanels; ++p) {
      const __m256i mask = lane_mask(t.outputs - p * kLanes);
      const __m256 scale = _mm256_maskload_ps(a + p * kLanes, mask);
      float* value = t.values + (R * kPanels + p) * kLanes;
      if constexpr (TwoStep) {
        const __m256 negative = _mm256_maskload_ps(a_negative + p * kLanes, mask);
        fold_value<true>(sums[0], sums[1], scale, negative, value);
      } else {
        fold_value<false>(sums[p], sums[p], scale, scale, value);
      }
    }
  }
};

template <int Bits, int Sums, bool TwoStep>
void rows_of(const GemvTile& t, int64_t rows) {
  rows == 2 ? Tile<Bits, Sums, 2, TwoStep>::run(t) : Tile<Bits, Sums, 1, TwoStep>::run(t);
}

}  // namespace

void lowbit_gemv(GemmWeights kind, const GemvTile& t, int64_t panels, int64_t rows) {
  if (kind == GemmWeights::two_step) return rows_of<2, 2, true>(t, rows);
  if (kind == GemmWeights::ternary) {
    return panels == 2 ? rows_of<2, 2, false>(t, rows) : rows_of<2, 1, false>(t, rows);
  }
  panels == 2 ? rows_of<4, 2, false>(t, rows) : rows_of<4, 1, false>(t, rows);
}

}  // namespace apprentice::kernels::avx2
