// AVX2 kernel of ternary GEMM by addressed tables, for processors without VNNI. Lanes are 32 rows
// of x, as s16. The sums that 4 columns can give, one for each of the 81 combinations of codes,
// lie in memory of the first cache level, 6 times 4 columns at once (30 KiB); the codes of an
// output then name the 6 entries that are added to its sums: two vpaddw from memory for 128
// products, with no multiplication and nothing to unpack. Sums are widened to s32 every
// kTableBlocks blocks, before they could overflow.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_table_internal.h>

namespace apprentice::kernels::avx2 {
namespace {

inline __m256i load(const void* from) { return _mm256_load_si256((const __m256i*)from); }
inline void store(void* to, __m256i v) { _mm256_store_si256((__m256i*)to, v); }

/// v with code -1, 0 and 1.
struct Signed {
  __m256i of[3];
  explicit Signed(__m256i v) : of{_mm256_sub_epi16(_mm256_setzero_si256(), v), {}, v} {}
};

/// The entries of 4 columns for 16 of the rows.
inline void fill_table(const int8_t* x, int16_t* to) {
  __m256i v[4];
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    v[i] = _mm256_cvtepi8_epi16(_mm_load_si128((const __m128i*)(x + i * kTableRows)));
  }
  const Signed first(v[0]), second(v[1]), third(v[2]), fourth(v[3]);
  __m256i low[9];
#pragma GCC unroll 9
  for (int c = 0; c < 9; ++c) low[c] = _mm256_add_epi16(first.of[c % 3], second.of[c / 3]);
#pragma GCC unroll 9
  for (int d = 0; d < 9; ++d) {
    const __m256i high = _mm256_add_epi16(third.of[d % 3], fourth.of[d / 3]);
#pragma GCC unroll 9
    for (int c = 0; c < 9; ++c) {
      store(to + (d * 9 + c) * kTableRows, _mm256_add_epi16(high, low[c]));
    }
  }
}

/// Adds a block's entries to all outputs; the first time there is nothing yet to add to.
template <bool First>
void add_block(const TableGemm& t, const uint8_t* codes) {
  constexpr int64_t kEntry = kTableRows * 2;  // bytes
  const char* table = (const char*)t.table;
  int16_t* narrow = t.narrow;
  for (int64_t left = t.outputs; left > 0; --left, codes += kTableGroups, narrow += kTableRows) {
    uint64_t numbers;
    __builtin_memcpy(&numbers, codes, 8);
    __m256i low = First ? _mm256_setzero_si256() : load(narrow);
    __m256i high = First ? _mm256_setzero_si256() : load(narrow + 16);
#pragma GCC unroll 6
    for (int g = 0; g < kTableGroups; ++g, numbers >>= 8) {
      const char* entry = table + (numbers & 255) * kEntry;
      low = _mm256_add_epi16(low, load(entry + g * kTableEntries * kEntry));
      high = _mm256_add_epi16(high, load(entry + g * kTableEntries * kEntry + 32));
    }
    store(narrow, low);
    store(narrow + 16, high);
  }
}

/// Adds the narrow sums to the wide ones, which they begin the first time.
template <bool First>
void widen(const TableGemm& t) {
  const int16_t* narrow = t.narrow;
  int32_t* sums = t.sums;
  for (int64_t j = 0; j < t.outputs; ++j) {
    const __m256i start = First ? _mm256_set1_epi32(t.start[j]) : __m256i{};
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i, narrow += 8, sums += 8) {
      const __m256i wide = _mm256_cvtepi16_epi32(_mm_load_si128((const __m128i*)narrow));
      store(sums, _mm256_add_epi32(wide, First ? start : load(sums)));
    }
  }
}

}  // namespace

void table_gemm(const TableGemm& t) {
  const int8_t* x = t.x;
  const uint8_t* codes = t.codes;
  for (int64_t block = 0; block < t.blocks; ++block, codes += t.block_bytes) {
    int16_t* table = t.table;
    for (int64_t g = 0; g < kTableGroups; ++g, x += 4 * kTableRows) {
      fill_table(x, table);
      fill_table(x + 16, table + 16);
      table += kTableEntries * kTableRows;
    }
    const int64_t at = block % kTableBlocks;
    at == 0 ? add_block<true>(t, codes) : add_block<false>(t, codes);
    if (at + 1 < kTableBlocks && block + 1 < t.blocks) continue;
    block < kTableBlocks ? widen<true>(t) : widen<false>(t);
  }
}

void table_arrange(const uint8_t* x, int64_t k, int64_t rows, uint8_t flip, int64_t blocks,
                   int8_t* to) {
  const __m128i bits = _mm_set1_epi8(char(flip));
  const int64_t end = blocks * kTableDepth;
  int64_t col = 0;
  for (; rows == kTableRows && col + 16 <= k; col += 16) {
    for (int half = 0; half < 2; ++half) {
      __m128i a[16], b[16];
#pragma GCC unroll 16
      for (int r = 0; r < 16; ++r) {
        const auto* from = (const __m128i*)(x + (half * 16 + r) * k + col);
        a[r] = _mm_xor_si128(_mm_loadu_si128(from), bits);
      }
#pragma GCC unroll 2
      for (int stage = 0; stage < 2; ++stage) {  // interleaving halves four times transposes
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          b[2 * i] = _mm_unpacklo_epi8(a[i], a[i + 8]);
          b[2 * i + 1] = _mm_unpackhi_epi8(a[i], a[i + 8]);
        }
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
          a[2 * i] = _mm_unpacklo_epi8(b[i], b[i + 8]);
          a[2 * i + 1] = _mm_unpackhi_epi8(b[i], b[i + 8]);
        }
      }
#pragma GCC unroll 16
      for (int c = 0; c < 16; ++c) {
        _mm_store_si128((__m128i*)(to + (col + c) * kTableRows + half * 16), a[c]);
      }
    }
  }
  for (; col < end; ++col) {
    for (int64_t row = 0; row < kTableRows; ++row) {
      const bool there = row < rows && col < k;
      to[col * kTableRows + row] = int8_t(there ? x[row * k + col] ^ flip : 0);
    }
  }
}

void table_transpose(const int32_t* sums, int64_t rows, int32_t* to, int64_t to_step) {
  __m256i a[8], b[8];
#pragma GCC unroll 8
  for (int j = 0; j < 8; ++j) a[j] = load(sums + j * kTableRows);
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    b[2 * i] = _mm256_unpacklo_epi32(a[2 * i], a[2 * i + 1]);
    b[2 * i + 1] = _mm256_unpackhi_epi32(a[2 * i], a[2 * i + 1]);
  }
#pragma GCC unroll 2
  for (int i = 0; i < 8; i += 4) {
    a[i] = _mm256_unpacklo_epi64(b[i], b[i + 2]);
    a[i + 1] = _mm256_unpackhi_epi64(b[i], b[i + 2]);
    a[i + 2] = _mm256_unpacklo_epi64(b[i + 1], b[i + 3]);
    a[i + 3] = _mm256_unpackhi_epi64(b[i + 1], b[i + 3]);
  }
#pragma GCC unroll 4
  for (int i = 0; i < 4; ++i) {
    b[i] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x20);
    b[i + 4] = _mm256_permute2x128_si256(a[i], a[i + 4], 0x31);
  }
#pragma GCC unroll 8
  for (int i = 0; i < 8; ++i) {
    if (i < rows) _mm256_storeu_si256((__m256i*)(to + i * to_step), b[i]);
  }
}

}  // namespace apprentice::kernels::avx2
