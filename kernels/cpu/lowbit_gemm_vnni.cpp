// AVX-512-VNNI kernels of low-bit GEMM. A tile is 1 or 2 panels of 16 outputs by up to 14 rows of x;
// a step broadcasts 4 bytes of a row (load port only) and multiplies them with 16 x 4 weights, one
// vpdpbusd a panel: u8 x s8 into s32, which cannot saturate. Weights of a tile are a byte each, in
// memory of the first or second cache level, unpacked there once for many tiles.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;
constexpr int kTileRows = 14;

/// The 16 bytes `of(0)` to `of(15)` in each quarter.
template <class Of>
inline __m512i table(Of of) {
  alignas(16) int8_t bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = int8_t(of(i));
  return _mm512_broadcast_i32x4(_mm_load_si128((const __m128i*)bytes));
}

/// What the two fields of a nibble hold, by the nibble; 4-bit codes have one.
struct Tables {
  __m512i low, high;
};

inline Tables code_tables() {
  return {table([](int i) { return i % 4 - 1; }), table([](int i) { return i / 4 - 1; })};
}
inline Tables equal_tables(int field) {
  return {table([field](int i) { return i % 4 == field; }),
          table([field](int i) { return i / 4 == field; })};
}

/// Steps of one block of ternary codes, `stride` bytes apart.
inline void unpack_block(__m512i low, __m512i high, const Tables& t, int8_t* to, int64_t stride) {
  _mm512_store_si512(to, _mm512_shuffle_epi8(t.low, low));
  _mm512_store_si512(to + stride, _mm512_shuffle_epi8(t.high, low));
  _mm512_store_si512(to + 2 * stride, _mm512_shuffle_epi8(t.low, high));
  _mm512_store_si512(to + 3 * stride, _mm512_shuffle_epi8(t.high, high));
}

void unpack(GemmWeights kind, const uint8_t* packed, int64_t blocks, int64_t panels, int8_t* to) {
  const __m512i nibble = _mm512_set1_epi8(15);
  const int64_t stride = panels * 64;
  const auto low_of = [&](__m512i q) { return _mm512_and_si512(q, nibble); };
  const auto high_of = [&](__m512i q) { return _mm512_and_si512(_mm512_srli_epi16(q, 4), nibble); };
  if (kind == GemmWeights::ternary) {
    const Tables codes = code_tables();
    for (int64_t block = 0; block < blocks; ++block, to += 4 * stride) {
      for (int64_t panel = 0; panel < panels; ++panel, packed += 64) {
        const __m512i q = _mm512_load_si512(packed);
        unpack_block(low_of(q), high_of(q), codes, to + panel * 64, stride);
      }
    }
  } else if (kind == GemmWeights::two_step) {
    const Tables positive = equal_tables(2), negative = equal_tables(0);
    for (int64_t block = 0; block < blocks; ++block, to += 8 * 64, packed += 64) {
      const __m512i q = _mm512_load_si512(packed);
      const __m512i low = low_of(q), high = high_of(q);
      unpack_block(low, high, positive, to, 2 * 64);
      unpack_block(low, high, negative, to + 64, 2 * 64);
    }
  } else {
    const __m512i codes = table([](int i) { return i - 8; });
    for (int64_t block = 0; block < blocks; ++block, to += 2 * stride) {
      for (int64_t panel = 0; panel < panels; ++panel, packed += 64) {
        const __m512i q = _mm512_load_si512(packed);
        _mm512_store_si512(to + panel * 64, _mm512_shuffle_epi8(codes, low_of(q)));
        _mm512_store_si512(to + panel * 64 + stride, _mm512_shuffle_epi8(codes, high_of(q)));
      }
    }
  }
}

/// Every third row has a pointer of its own, which reaches the next two by scaled indexing: a
/// register for each would spill.
template <int Panels, int Rows>
void tile(const GemmTile& t) {
  constexpr int kPointers = (Rows + 2) / 3;
  __m512i sums[Panels][Rows];
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) {
      sums[p][r] = _mm512_loadu_si512(t.from + r * t.from_step + p * kLanes);
    }
  }
  const int64_t x_step = t.x_step;
  const int8_t* w = t.w;
  const uint8_t* at[kPointers];
#pragma GCC unroll 8
  for (int k = 0; k < kPointers; ++k) {
    at[k] = t.x + 3 * k * x_step;
    asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
  }
  for (int64_t step = t.steps; step > 0; --step) {
    __m512i v[Panels];
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) v[p] = _mm512_load_si512(w + p * 64);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      int32_t bytes;
      __builtin_memcpy(&bytes, at[r / 3] + r % 3 * x_step, 4);
      const __m512i x = _mm512_set1_epi32(bytes);
#pragma GCC unroll 2
      for (int p = 0; p < Panels; ++p) sums[p][r] = _mm512_dpbusd_epi32(sums[p][r], x, v[p]);
    }
    w += Panels * 64;
#pragma GCC unroll 8
    for (int k = 0; k < kPointers; ++k) at[k] += 4;
  }
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 2
    for (int p = 0; p < Panels; ++p) {
      _mm512_storeu_si512(t.to + r * t.to_step + p * kLanes, sums[p][r]);
    }
  }
}

template <int... Rows>
struct Counts {};

using Tile = void (*)(const GemmTile&);

/// The tile of each number of rows, behind an unused first.
template <int Panels, class Rows = Counts<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>>
struct Tiles;
template <int Panels, int... Rows>
struct Tiles<Panels, Counts<Rows...>> {
  static_assert(sizeof...(Rows) == kTileRows);
  static constexpr Tile table[] = {nullptr, tile<Panels, Rows>...};
};

void multiply(const GemmTile& t, int64_t panels, int64_t rows) {
  (panels == 2 ? Tiles<2>::table : Tiles<1>::table)[rows](t);
}

/// Codes of some rows of 16 outputs, whose sums are `step` numbers apart.
template <bool TwoStep, bool Shortcut>
void store_codes(const GemmOutputs& o, const int32_t* sums, int64_t step, int64_t row, int64_t rows,
                 int64_t first, __mmask16 mask) {
  const __m512 a = _mm512_maskz_loadu_ps(mask, o.a + first);
  const __m512 b = _mm512_maskz_loadu_ps(mask, o.b + first);
  __m512 a_negative{};
  if (TwoStep) a_negative = _mm512_maskz_loadu_ps(mask, o.a_negative + first);
  const __m512 r = _mm512_set1_ps(o.r), max_code = _mm512_set1_ps(o.max_code);
  for (int64_t i = 0; i < rows; ++i, sums += step) {
    const int64_t at = (row + i) * o.n + first;
    __m512 t = b;
    if (TwoStep) {
      const __m512i negative = _mm512_loadu_si512(sums + kLanes);
      t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), a_negative, t);
    }
    t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(sums)), a, t);
    if (Shortcut) {
      const __m128i code = _mm_maskz_loadu_epi8(mask, o.residual + at);
      t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
    }
    t = _mm512_min_ps(_mm512_max_ps(t, _mm512_setzero_ps()), max_code);
    const __m512i code = _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    _mm_mask_storeu_epi8(o.y + at, mask, _mm512_cvtepi32_epi8(code));
  }
}

void finish(const GemmOutputs& o, const int32_t* sums, int64_t panels, int64_t row, int64_t rows,
            int64_t first) {
  const int64_t step = panels * kLanes;
  for (int64_t p = 0; p < (o.two_step ? 1 : panels); ++p, first += kLanes, sums += kLanes) {
    const int64_t left = o.n - first;
    const auto mask = __mmask16(left >= kLanes ? 0xffff : (1u << left) - 1);
    const auto store = [&](int32_t* to, const int32_t* from) {
      for (int64_t i = 0; i < rows; ++i) {
        _mm512_mask_storeu_epi32(to + (row + i) * o.n + first, mask,
                                 _mm512_loadu_si512(from + i * step));
      }
    };
    if (o.acc) store(o.acc, sums);
    if (o.two_step && o.negative) store(o.negative, sums + kLanes);
    if (!o.y) continue;
    const auto codes = o.two_step ? o.residual ? store_codes<true, true> : store_codes<true, false>
                       : o.residual ? store_codes<false, true>
                                    : store_codes<false, false>;
    codes(o, sums, step, row, rows, first, mask);
  }
}

}  // namespace

const GemmIsa lowbit_gemm{kLanes, kTileRows, {3, 3, 6}, 6, unpack, multiply, lowbit_gemv, finish};

}  // namespace apprentice::kernels::vnni
