// AVX-512-VNNI kernel of low-bit GEMV. Packed weights stream through once and are never shifted: a
// field is masked where it lies, 4^f (ternary) or 16^f (4-bit) times too large, and has sums of its
// own, which are shifted down at the end. That takes one vpand and, a row, one vpdpbusd (unsigned
// weights by signed x, exact) for 64 products.
//
// Weights are code + offset, so that offset * sum(x) is taken off. Of two steps P has the mask of
// the field's upper bit (code + 1 = 2), and N = P - sum of code * x.
#include <apprentice/kernels/cpu/lowbit_gemm_vnni_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kAhead = 2048;  ///< bytes of weights asked for before they are needed

/// Sums of a field, 2^(Bits * field) times too large.
template <int Panels, int Rows>
using FieldSums = __m512i[Rows][Panels];

/// Adds the weights' bits `mask` times 4 bytes of each row of x. An x is broadcast once for all
/// panels.
template <int Panels, int Rows>
inline void add_field(const uint8_t* w, int mask, const int8_t* x, int64_t x_step,
                      FieldSums<Panels, Rows>& sums) {
  __m512i v[Panels];
#pragma GCC unroll 4
  for (int p = 0; p < Panels; ++p) {
    v[p] = _mm512_and_si512(_mm512_load_si512(w + p * 64), _mm512_set1_epi8(char(mask)));
  }
#pragma GCC unroll 4
  for (int r = 0; r < Rows; ++r) {
    int32_t bytes;
    __builtin_memcpy(&bytes, x + r * x_step, 4);
    const __m512i four = _mm512_set1_epi32(bytes);
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], v[p], four);
  }
}

/// The same of all fields.
template <int Bits, int Panels, int Rows>
inline void add_block(const uint8_t* w, int mask, const int8_t* x, int64_t x_step,
                      FieldSums<Panels, Rows> (&sums)[8 / Bits]) {
#pragma GCC unroll 4
  for (int f = 0; f < 8 / Bits; ++f) {
    add_field<Panels, Rows>(w, mask << (Bits * f), x + 4 * f, x_step, sums[f]);
  }
}

template <int Bits, int Panels, int Rows>
inline void clear(FieldSums<Panels, Rows> (&sums)[8 / Bits]) {
#pragma GCC unroll 4
  for (int f = 0; f < 8 / Bits; ++f) {
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
      for (int p = 0; p < Panels; ++p) sums[f][r][p] = _mm512_setzero_si512();
    }
  }
}

/// Sum of the fields, `Shift` bits too large. All are exact multiples, so the shifts are exact.
template <int Bits, int Shift, int Panels, int Rows>
inline __m512i total(const FieldSums<Panels, Rows> (&sums)[8 / Bits], int r, int p) {
  __m512i sum = _mm512_setzero_si512();
#pragma GCC unroll 4
  for (int f = 0; f < 8 / Bits; ++f) {
    __m512i field = sums[f][r][p];
    asm("" : "+v"(field));  // else g++ keeps each sum of the loop twice, as two types of vector
    sum = _mm512_add_epi32(sum, _mm512_srai_epi32(field, unsigned(Shift + Bits * f)));
  }
  return sum;
}

/// What belongs to one span of columns.
struct Span {
  int64_t blocks, left;  ///< of this span, and from it on
  const int32_t *x_sums, *from;
  const float *a, *a_negative;

  explicit Span(const GemvTile& t)
      : blocks(t.blocks),
        left(t.blocks),
        x_sums(t.x_sums),
        from(t.from),
        a(t.a),
        a_negative(t.a_negative) {
    limit(t);
  }
  void limit(const GemvTile& t) {
    blocks = t.values && t.span_blocks < left ? t.span_blocks : left;
  }
  /// Is there another one?
  bool next(const GemvTile& t) {
    left -= blocks;
    if (left == 0) return false;
    limit(t);
    x_sums += t.x_sums_step;
    from += t.from_step;
    a += t.a_step;
    if (a_negative) a_negative += t.a_step;
    return true;
  }
};

/// Panels [first, first + Panels) of a group of `packed_panels`.
template <int Bits, int Panels, int Rows>
void one_step(const GemvTile& t, int64_t first, int64_t packed_panels) {
  constexpr int kOffset = Bits == 2 ? 1 : 8, kMask = (1 << Bits) - 1;
  const uint8_t* w = t.w + first * 64;
  const int8_t* x = t.x;
  const int64_t x_step = t.x_step, step = packed_panels * 64;
  Span span(t);
  do {
    FieldSums<Panels, Rows> sums[8 / Bits];
    clear<Bits, Panels, Rows>(sums);
    for (int64_t block = span.blocks; block > 0; --block, w += step, x += 32 / Bits) {
#pragma GCC unroll 4
      for (int p = 0; p < Panels; ++p) {
        _mm_prefetch((const char*)(w + kAhead + p * 64), _MM_HINT_T0);
      }
      add_block<Bits, Panels, Rows>(w, kMask, x, x_step, sums);
    }
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      const int64_t at = (first + p) * kLanes;
      const __mmask16 mask = lanes_of(t.outputs - at);
      const __m512 a = t.values ? _mm512_maskz_loadu_ps(mask, span.a + at) : __m512{};
#pragma GCC unroll 4
      for (int r = 0; r < Rows; ++r) {
        const __m512i off = _mm512_set1_epi32(kOffset * span.x_sums[r]);
        const __m512i from = _mm512_sub_epi32(_mm512_loadu_si512(span.from + at), off);
        const __m512i sum = _mm512_add_epi32(from, total<Bits, 0, Panels, Rows>(sums, r, p));
        const int64_t to = r * packed_panels * kLanes + at;
        if (t.values) {
          fold_value<false>(sum, sum, a, a, t.values + to);
        } else {
          _mm512_storeu_si512(t.to + to, sum);
        }
      }
    }
  } while (span.next(t));
}

/// Panel `panel` of such a group: P and N.
template <int Rows>
void two_step(const GemvTile& t, int64_t panel, int64_t packed_panels) {
  const uint8_t* w = t.w + panel * 64;
  const int8_t* x = t.x;
  const int64_t x_step = t.x_step, step = packed_panels * 64;
  const __mmask16 mask = lanes_of(t.outputs - panel * kLanes);
  Span span(t);
  do {
    FieldSums<1, Rows> both[4], positive[4];
    clear<2, 1, Rows>(both);
    clear<2, 1, Rows>(positive);
    for (int64_t block = span.blocks; block > 0; --block, w += step, x += 16) {
      _mm_prefetch((const char*)(w + kAhead), _MM_HINT_T0);
      add_block<2, 1, Rows>(w, 3, x, x_step, both);
      add_block<2, 1, Rows>(w, 2, x, x_step, positive);
    }
    const int32_t* from = span.from + panel * 2 * kLanes;
#pragma GCC unroll 4
    for (int r = 0; r < Rows; ++r) {
      __m512i p = total<2, 1, 1, Rows>(positive, r, 0);
      const __m512i code =
          _mm512_sub_epi32(total<2, 0, 1, Rows>(both, r, 0), _mm512_set1_epi32(span.x_sums[r]));
      const __m512i n =
          _mm512_add_epi32(_mm512_sub_epi32(p, code), _mm512_loadu_si512(from + kLanes));
      p = _mm512_add_epi32(p, _mm512_loadu_si512(from));
      const int64_t to = (r * packed_panels + panel) * kLanes;
      if (t.values) {
        const __m512 a = _mm512_maskz_loadu_ps(mask, span.a + panel * kLanes);
        const __m512 a_negative = _mm512_maskz_loadu_ps(mask, span.a_negative + panel * kLanes);
        fold_value<true>(p, n, a, a_negative, t.values + to);
      } else {
        _mm512_storeu_si512(t.to + 2 * to, p);
        _mm512_storeu_si512(t.to + 2 * to + kLanes, n);
      }
    }
  } while (span.next(t));
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
