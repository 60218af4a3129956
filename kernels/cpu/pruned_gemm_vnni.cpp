// AVX-512-VNNI kernel of ternary GEMM with pruned weights. Lanes are rows of x: a vector holds 4
// columns of 16 rows, and a listed tile of weights gives 4 bytes an output, broadcast from memory.
// A tile of sums is 8 outputs by 3 vectors: 24 vpdpbusd to 11 loads. With outputs in the lanes,
// where a list leaves nothing to share between panels, there would be a load to each.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/pruned_gemm_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kStep = kPrunedRows * 4;  ///< bytes of 4 columns
constexpr int kOutputs = 8;                 ///< of a tile of sums, half a panel

/// Half of a panel: its outputs from `first` on.
template <int Vectors>
void multiply(const PrunedSums& s, int64_t first) {
  __m512i sums[kOutputs][Vectors];
  int32_t* to = s.sums + first * kPrunedRows;
#pragma GCC unroll 8
  for (int j = 0; j < kOutputs; ++j) {
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) {
      sums[j][v] = s.start ? _mm512_set1_epi32(s.start[first + j])
                           : _mm512_load_si512(to + j * kPrunedRows + v * 16);
    }
  }
  const int8_t* w = s.w + first * 4;
  for (int64_t t = 0; t < s.count; ++t, w += 64) {
    const uint8_t* at = s.x + s.column[t] * kStep;
    __m512i x[Vectors];
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) x[v] = _mm512_load_si512(at + v * 64);
#pragma GCC unroll 8
    for (int j = 0; j < kOutputs; ++j) {
      int32_t bytes;
      __builtin_memcpy(&bytes, w + 4 * j, 4);
      const __m512i four = _mm512_set1_epi32(bytes);
#pragma GCC unroll 3
      for (int v = 0; v < Vectors; ++v) {
        sums[j][v] = _mm512_dpbusd_epi32(sums[j][v], x[v], four);
      }
    }
  }
#pragma GCC unroll 8
  for (int j = 0; j < kOutputs; ++j) {
#pragma GCC unroll 3
    for (int v = 0; v < Vectors; ++v) {
      _mm512_store_si512(to + j * kPrunedRows + v * 16, sums[j][v]);
    }
  }
}

template <int Vectors>
void multiply_panel(const PrunedSums& s) {
  multiply<Vectors>(s, 0);
  multiply<Vectors>(s, kOutputs);
}

/// 16 columns of 4 rows: 4 x 4 numbers of 4 bytes, transposed.
inline void arrange_16(const uint8_t* x, int64_t k, __m128i flip, uint8_t* to) {
  __m128i row[4];
#pragma GCC unroll 4
  for (int r = 0; r < 4; ++r) {
    row[r] = _mm_xor_si128(_mm_loadu_si128((const __m128i*)(x + r * k)), flip);
  }
  const __m128i low01 = _mm_unpacklo_epi32(row[0], row[1]);
  const __m128i low23 = _mm_unpacklo_epi32(row[2], row[3]);
  const __m128i high01 = _mm_unpackhi_epi32(row[0], row[1]);
  const __m128i high23 = _mm_unpackhi_epi32(row[2], row[3]);
  _mm_storeu_si128((__m128i*)to, _mm_unpacklo_epi64(low01, low23));
  _mm_storeu_si128((__m128i*)(to + kStep), _mm_unpackhi_epi64(low01, low23));
  _mm_storeu_si128((__m128i*)(to + 2 * kStep), _mm_unpacklo_epi64(high01, high23));
  _mm_storeu_si128((__m128i*)(to + 3 * kStep), _mm_unpackhi_epi64(high01, high23));
}

}  // namespace

void pruned_multiply(const PrunedSums& s, int64_t rows) {
  rows > 32 ? multiply_panel<3>(s) : rows > 16 ? multiply_panel<2>(s) : multiply_panel<1>(s);
}

void pruned_arrange(const uint8_t* x, int64_t k, int64_t rows, uint8_t flip, uint8_t* to) {
  const __m128i bits = _mm_set1_epi8(char(flip));
  if (rows < kPrunedRows || k % 4 != 0) {
    const int64_t bytes = (k + 3) / 4 * kStep;
    for (int64_t at = 0; at < bytes; at += 32) {
      _mm256_storeu_si256((__m256i*)(to + at), _mm256_setzero_si256());
    }
  }
  for (int64_t row = 0; row < rows; row += 4, to += 16) {
    const int64_t some = rows - row < 4 ? rows - row : 4;
    int64_t col = 0;
    for (; some == 4 && col + 16 <= k; col += 16) {
      arrange_16(x + row * k + col, k, bits, to + col / 4 * kStep);
    }
    for (int64_t r = 0; r < some; ++r) {
      const uint8_t* from = x + (row + r) * k;
      for (int64_t c = col; c < k; ++c) to[c / 4 * kStep + r * 4 + c % 4] = from[c] ^ flip;
    }
  }
}

void pruned_transpose(const int32_t* sums, int64_t rows, int32_t* to, int64_t to_step) {
  __m512i a[16], b[16];
#pragma GCC unroll 16
  for (int j = 0; j < 16; ++j) a[j] = _mm512_load_si512(sums + j * kPrunedRows);
#pragma GCC unroll 8
  for (int j = 0; j < 16; j += 2) {
    b[j] = _mm512_unpacklo_epi32(a[j], a[j + 1]);
    b[j + 1] = _mm512_unpackhi_epi32(a[j], a[j + 1]);
  }
#pragma GCC unroll 4
  for (int j = 0; j < 16; j += 4) {  // a[j + i]: outputs j to j + 3 of rows i, i + 4, i + 8, i + 12
    a[j] = _mm512_unpacklo_epi64(b[j], b[j + 2]);
    a[j + 1] = _mm512_unpackhi_epi64(b[j], b[j + 2]);
    a[j + 2] = _mm512_unpacklo_epi64(b[j + 1], b[j + 3]);
    a[j + 3] = _mm512_unpackhi_epi64(b[j + 1], b[j + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    const __m512i low = _mm512_shuffle_i32x4(a[i], a[i + 4], 0x88);  // rows i, i + 8
    const __m512i high = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0x88);
    b[i] = _mm512_shuffle_i32x4(low, high, 0x88);
    b[i + 8] = _mm512_shuffle_i32x4(low, high, 0xdd);
    const __m512i odd_low = _mm512_shuffle_i32x4(a[i], a[i + 4], 0xdd);  // rows i + 4, i + 12
    const __m512i odd_high = _mm512_shuffle_i32x4(a[i + 8], a[i + 12], 0xdd);
    b[i + 4] = _mm512_shuffle_i32x4(odd_low, odd_high, 0x88);
    b[i + 12] = _mm512_shuffle_i32x4(odd_low, odd_high, 0xdd);
  }
#pragma GCC unroll 16
  for (int i = 0; i < 16; ++i) {
    if (i < rows) _mm512_storeu_si512(to + i * to_step, b[i]);
  }
}

}  // namespace apprentice::kernels::vnni
