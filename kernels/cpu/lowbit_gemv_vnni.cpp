// AVX-512-VNNI kernel of low-bit GEMV. Packed weights stream through once and are never shifted: a
// field is masked where it lies, 4^f (ternary) or 16^f (4-bit) times too large, and has sums of its
// own, which are shifted down at the end. That takes one vpand and one vpdpbusd (unsigned weights by
// signed x, exact) for 64 products a row.
//
// Weights are code + offset, so that offset * sum(x) is taken off. Of two steps P has the mask of
// the field's upper bit (code + 1 = 2), and N = P - sum of code * x.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kAhead = 2048;  ///< bytes of weights asked for before they are needed

/// Sums of one panel, [field][row]: times 2^(Bits * field), and times 2 of P.
template <int Bits, int Rows>
using FieldSums = __m512i[8 / Bits][Rows];

template <int Bits, int Rows>
inline void clear(FieldSums<Bits, Rows>& sums) {
#pragma GCC unroll 4
  for (int f = 0; f < 8 / Bits; ++f) {
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) sums[f][r] = _mm512_setzero_si512();
  }
}

/// Adds the block at `x` times the bits `mask` of each field of q.
template <int Bits, int Rows>
inline void add_block(__m512i q, int mask, const int8_t* x, int64_t x_step,
                      FieldSums<Bits, Rows>& sums) {
#pragma GCC unroll 4
  for (int f = 0; f < 8 / Bits; ++f) {
    const __m512i w = _mm512_and_si512(q, _mm512_set1_epi8(char(mask << (Bits * f))));
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      int32_t bytes;
      __builtin_memcpy(&bytes, x + r * x_step + 4 * f, 4);
      sums[f][r] = _mm512_dpbusd_epi32(sums[f][r], w, _mm512_set1_epi32(bytes));
    }
  }
}

/// Sum of all fields of row r. The sums are exact multiples, so the shifts are exact.
template <int Bits, int Rows>
inline __m512i total(const FieldSums<Bits, Rows>& sums, int r, int extra_shift) {
  __m512i sum = _mm512_srai_epi32(sums[0][r], unsigned(extra_shift));
#pragma GCC unroll 4
  for (int f = 1; f < 8 / Bits; ++f) {
    sum = _mm512_add_epi32(sum, _mm512_srai_epi32(sums[f][r], unsigned(Bits * f + extra_shift)));
  }
  return sum;
}

/// Panels [first, first + Panels) of a group of `packed_panels`.
template <int Bits, int Panels, int Rows>
void one_step(const GemvTile& t, int64_t first, int64_t packed_panels) {
  FieldSums<Bits, Rows> sums[Panels];
#pragma GCC unroll 4
  for (int p = 0; p < Panels; ++p) clear<Bits, Rows>(sums[p]);
  const uint8_t* w = t.w + first * 64;
  const int8_t* x = t.x;
  for (int64_t block = t.blocks; block > 0; --block) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      _mm_prefetch((const char*)(w + kAhead + p * 64), _MM_HINT_T0);
      const __m512i q = _mm512_load_si512(w + p * 64);
      add_block<Bits, Rows>(q, (1 << Bits) - 1, x, t.x_step, sums[p]);
    }
    w += packed_panels * 64;
    x += 32 / Bits;
  }
  constexpr int kOffset = Bits == 2 ? 1 : 8;
#pragma GCC unroll 8
  for (int r = 0; r < Rows; ++r) {
    const __m512i off = _mm512_set1_epi32(kOffset * t.x_sums[r]);
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      const int64_t at = (first + p) * kLanes;
      const __m512i from = _mm512_sub_epi32(_mm512_loadu_si512(t.from + at), off);
      _mm512_storeu_si512(t.to + r * packed_panels * kLanes + at,
                          _mm512_add_epi32(from, total<Bits, Rows>(sums[p], r, 0)));
    }
  }
}

/// Panel `panel` of such a group: P and N.
template <int Rows>
void two_step(const GemvTile& t, int64_t panel, int64_t packed_panels) {
  FieldSums<2, Rows> both, positive;
  clear<2, Rows>(both);
  clear<2, Rows>(positive);
  const uint8_t* w = t.w + panel * 64;
  const int8_t* x = t.x;
  for (int64_t block = t.blocks; block > 0; --block) {
    _mm_prefetch((const char*)(w + kAhead), _MM_HINT_T0);
    const __m512i q = _mm512_load_si512(w);
    add_block<2, Rows>(q, 3, x, t.x_step, both);
    add_block<2, Rows>(q, 2, x, t.x_step, positive);
    w += packed_panels * 64;
    x += 16;
  }
  const int32_t* from = t.from + panel * 2 * kLanes;
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
    const __m512i p = total<2, Rows>(positive, r, 1);
    const __m512i code =
        _mm512_sub_epi32(total<2, Rows>(both, r, 0), _mm512_set1_epi32(t.x_sums[r]));
    const __m512i n = _mm512_sub_epi32(p, code);
    int32_t* to = t.to + (r * packed_panels + panel) * 2 * kLanes;
    _mm512_storeu_si512(to, _mm512_add_epi32(p, _mm512_loadu_si512(from)));
    _mm512_storeu_si512(to + kLanes, _mm512_add_epi32(n, _mm512_loadu_si512(from + kLanes)));
  }
}

/// As many panels at a time as have registers for their sums.
template <int Bits, int Rows>
void all_panels(const GemvTile& t, int64_t packed_panels) {
  constexpr int kMost = Rows == 1 || Bits == 4 ? 4 : 2;
  int64_t p = 0;
  for (; p + kMost <= packed_panels; p += kMost) one_step<Bits, kMost, Rows>(t, p, packed_panels);
  for (; p + 2 <= packed_panels; p += 2) one_step<Bits, 2, Rows>(t, p, packed_panels);
  for (; p < packed_panels; ++p) one_step<Bits, 1, Rows>(t, p, packed_panels);
}

template <int Rows>
void all_panels(GemmWeights kind, const GemvTile& t, int64_t packed_panels) {
  if (kind == GemmWeights::ternary) return all_panels<2, Rows>(t, packed_panels);
  if (kind == GemmWeights::int4) return all_panels<4, Rows>(t, packed_panels);
  for (int64_t p = 0; p < packed_panels; ++p) two_step<Rows>(t, p, packed_panels);
}

}  // namespace

void lowbit_gemv(GemmWeights kind, const GemvTile& t, int64_t packed_panels, int64_t rows) {
  rows == 1   ? all_panels<1>(kind, t, packed_panels)
  : rows == 2 ? all_panels<2>(kind, t, packed_panels)
              : all_panels<3>(kind, t, packed_panels);
}

}  // namespace apprentice::kernels::vnni
