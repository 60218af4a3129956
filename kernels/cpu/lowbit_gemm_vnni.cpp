// AVX-512-VNNI kernels of low-bit GEMM. A tile is up to 4 panels of 16 outputs by up to 6 rows of x
// (fewer panels: more rows); a step broadcasts 4 bytes of a row (load port only) and multiplies
// them with 16 x 4 weights, one vpdpbusd a panel: u8 x s8 into s32, which cannot saturate. Weights
// of a tile are a byte each, in memory of the first cache level, unpacked there once for many
// tiles.
#include <utility>

#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>

namespace apprentice::kernels::vnni {
namespace {

constexpr int64_t kLanes = 16;
/// The most rows of a tile, whose sums fill the registers, and the rows of one that unpacks, which
/// needs some for that.
constexpr int kTileRows[] = {12, 12, 8, 6};
constexpr int kPackedRows = 4;

void copy(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to) {
  const __m512i bits = _mm512_set1_epi8(char(flip));
  int64_t k = 0;
  for (; k + 64 <= count; k += 64) {
    _mm512_storeu_si512(to + k, _mm512_xor_si512(_mm512_loadu_si512(from + k), bits));
  }
  const __mmask64 rest = (1ull << (count - k)) - 1;
  const __m512i last = _mm512_maskz_loadu_epi8(rest, from + k);
  _mm512_mask_storeu_epi8(to + k, rest, _mm512_xor_si512(last, bits));
}

/// Codes of 16 numbers. Of vmaxps's operands the second comes through where one is NaN.
inline __m512i codes_of(__m512 x, const GemmGrid& grid) {
  const __m512 t = _mm512_mul_ps(x, _mm512_set1_ps(grid.inv_step));
  const __m512 floored = _mm512_max_ps(t, _mm512_set1_ps(grid.low));
  return _mm512_cvt_roundps_epi32(_mm512_min_ps(floored, _mm512_set1_ps(grid.high)),
                                  _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/// 64 numbers of s32 as bytes, s8 or u8, in order.
template <bool Signed>
inline __m512i narrow(const __m512i (&codes)[4]) {
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m512i low = _mm512_packs_epi32(codes[0], codes[1]);
  const __m512i high = _mm512_packs_epi32(codes[2], codes[3]);
  const __m512i bytes = Signed ? _mm512_packs_epi16(low, high) : _mm512_packus_epi16(low, high);
  return _mm512_permutexvar_epi32(order, bytes);
}

/// Codes of 64 numbers, of which `mask` are there. Narrowing saturates, so that only the upper bound
/// is asked for before; what is no s32 becomes its least, and so does NaN.
template <bool Signed>
inline __m512i codes_of_64(const float* from, __mmask64 mask, const GemmGrid& grid) {
  const __m512 inv_step = _mm512_set1_ps(grid.inv_step), high = _mm512_set1_ps(grid.high);
  const __m512i low = _mm512_set1_epi8(char(int(grid.low)));
  __m512i codes[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    const __m512 x = _mm512_maskz_loadu_ps(__mmask16(mask >> (16 * p)), from + 16 * p);
    const __m512 t = _mm512_min_ps(high, _mm512_mul_ps(x, inv_step));
    codes[p] = _mm512_cvt_roundps_epi32(t, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  const __m512i bytes = narrow<Signed>(codes);
  return Signed ? _mm512_max_epi8(bytes, low) : _mm512_max_epu8(bytes, low);
}

template <bool Signed>
void quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip, uint8_t* to) {
  const __m512i bits = _mm512_set1_epi8(char(flip));
  int64_t k = 0;
  for (; k + 64 <= count; k += 64) {
    const __m512i codes = codes_of_64<Signed>(from + k, ~0ull, grid);
    _mm512_storeu_si512(to + k, _mm512_xor_si512(codes, bits));
  }
  if (k == count) return;
  const __mmask64 rest = (1ull << (count - k)) - 1;
  const __m512i codes = codes_of_64<Signed>(from + k, rest, grid);
  _mm512_mask_storeu_epi8(to + k, rest, _mm512_xor_si512(codes, bits));
}

void quantize(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip, uint8_t* to) {
  (grid.low < 0 ? quantize<true> : quantize<false>)(from, count, grid, flip, to);
}

/// The 16 bytes `of(0)` to `of(15)` in each quarter.
template <class Of>
inline __m512i table(Of of) {
  alignas(16) int8_t bytes[16];
  for (int i = 0; i < 16; ++i) bytes[i] = int8_t(of(i));
  return _mm512_broadcast_i32x4(_mm_load_si128((const __m128i*)bytes));
}

/// Codes of a block of packed weights, one byte each: a table says what a field of a nibble stands
/// for. `sums` panels come of one.
template <GemmWeights Kind>
struct Codes;

template <>
struct Codes<GemmWeights::ternary> {
  static constexpr int fields = 4, sums = 1;
  __m512i low = table([](int i) { return i % 4 - 1; });
  __m512i high = table([](int i) { return i / 4 - 1; });
  __m512i of(__m512i nibbles, int field, int) const {
    return _mm512_shuffle_epi8(field ? high : low, nibbles);
  }
};
template <>
struct Codes<GemmWeights::two_step> {
  static constexpr int fields = 4, sums = 2;
  __m512i low[2] = {table([](int i) { return i % 4 == 2; }),
                    table([](int i) { return i % 4 == 0; })};
  __m512i high[2] = {table([](int i) { return i / 4 == 2; }),
                     table([](int i) { return i / 4 == 0; })};
  __m512i of(__m512i nibbles, int field, int sum) const {
    return _mm512_shuffle_epi8(field ? high[sum] : low[sum], nibbles);
  }
};
template <>
struct Codes<GemmWeights::int4> {
  static constexpr int fields = 2, sums = 1;
  __m512i codes = table([](int i) { return i - 8; });
  __m512i of(__m512i nibbles, int, int) const { return _mm512_shuffle_epi8(codes, nibbles); }
};

/// Sums of a tile, by row.
template <int Panels, int Rows>
using TileSums = __m512i[Rows][Panels];

template <int Panels, int Rows>
inline void load_sums(const GemmTile& t, TileSums<Panels, Rows>& sums) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      sums[r][p] = _mm512_loadu_si512(t.from + r * t.from_step + p * kLanes);
    }
  }
}

template <int Panels, int Rows>
inline void store_sums(const GemmTile& t, const TileSums<Panels, Rows>& sums) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) {
      _mm512_storeu_si512(t.to + r * t.to_step + p * kLanes, sums[r][p]);
    }
  }
}

inline __mmask16 lanes_of(int64_t left) {
  return __mmask16(left >= kLanes ? 0xffff : left <= 0 ? 0 : (1u << left) - 1);
}

/// One value: what GemmFold says. Without two steps there is no `negative`.
template <bool TwoStep>
inline void fold_value(__m512i sum, __m512i negative, __m512 a, __m512 a_negative, float* value) {
  __m512 t = _mm512_loadu_ps(value);
  if (TwoStep) t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(negative), a_negative, t);
  _mm512_storeu_ps(value, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), a, t));
}

/// Parts: panels of sums that give one of values.
template <int Panels, int Rows, int Parts>
inline void fold_sums(const GemmTile& t, const TileSums<Panels, Rows>& sums) {
#pragma GCC unroll 4
  for (int p = 0; p < Panels; p += Parts) {
    const int64_t first = p / Parts * kLanes;
    const __mmask16 mask = lanes_of(t.outputs - first);
    const __m512 a = _mm512_maskz_loadu_ps(mask, t.a + first);
    __m512 a_negative{};
    if (Parts == 2) a_negative = _mm512_maskz_loadu_ps(mask, t.a_negative + first);
#pragma GCC unroll 16
    for (int r = 0; r < Rows; ++r) {
      fold_value<Parts == 2>(sums[r][p], sums[r][p + Parts - 1], a, a_negative,
                             t.values + r * (Panels / Parts) * kLanes + first);
    }
  }
}

/// Where the rows of a tile are. Every third has a pointer of its own, which reaches the next two
/// by scaled indexing: a register for each would spill.
template <int Rows>
struct RowPointers {
  static constexpr int count = (Rows + 2) / 3;
  const uint8_t* at[count];
  int64_t step;

  explicit RowPointers(const GemmTile& t) : step(t.x_step) {
#pragma GCC unroll 8
    for (int k = 0; k < count; ++k) {
      at[k] = t.x + 3 * k * step;
      asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
    }
  }
  void advance() {
#pragma GCC unroll 8
    for (int k = 0; k < count; ++k) at[k] += 4;
  }
};

/// One step: 4 bytes of each row by the weights w.
template <int Panels, int Rows>
inline void add_step(const RowPointers<Rows>& x, const __m512i (&w)[Panels],
                     TileSums<Panels, Rows>& sums) {
#pragma GCC unroll 16
  for (int r = 0; r < Rows; ++r) {
    int32_t bytes;
    __builtin_memcpy(&bytes, x.at[r / 3] + r % 3 * x.step, 4);
    const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) sums[r][p] = _mm512_dpbusd_epi32(sums[r][p], v, w[p]);
  }
}

template <int Panels, int Rows>
void tile(const GemmTile& t) {
  TileSums<Panels, Rows> sums;
  load_sums<Panels, Rows>(t, sums);
  RowPointers<Rows> x(t);
  const int8_t* from = t.w;
  for (int64_t step = t.steps; step > 0; --step) {
    __m512i w[Panels];
#pragma GCC unroll 4
    for (int p = 0; p < Panels; ++p) w[p] = _mm512_load_si512(from + p * 64);
    add_step<Panels, Rows>(x, w, sums);
    from += Panels * 64;
    x.advance();
  }
  store_sums<Panels, Rows>(t, sums);
}

/// One half, low or high, of the nibbles of a block.
template <int Packed>
inline void load_nibbles(const uint8_t* packed, int half, __m512i (&nibbles)[Packed]) {
#pragma GCC unroll 4
  for (int p = 0; p < Packed; ++p) {
    const __m512i q = _mm512_load_si512(packed + p * 64);
    nibbles[p] = _mm512_and_si512(half ? _mm512_srli_epi16(q, 4) : q, _mm512_set1_epi8(15));
  }
}

/// The same from packed weights. If it keeps them, it leaves them unpacked at t.w: unpacking
/// between the products takes less time than on its own, where it waits for memory. Else its
/// registers are full of sums, and nibbles are read again for each field.
template <GemmWeights Kind, int Packed, int Rows, bool Keeps>
void packed_tile(const GemmTile& t, const uint8_t* packed) {
  using Of = Codes<Kind>;
  constexpr int kPanels = Packed * Of::sums;
  const Of codes;
  TileSums<kPanels, Rows> sums;
  load_sums<kPanels, Rows>(t, sums);
  RowPointers<Rows> x(t);
  int8_t* to = t.w;
  const int64_t ahead = t.steps / Of::fields * Packed * 64;  // what is unpacked next
  const uint8_t* rows_ahead = t.ahead;
  for (int64_t step = 0; step < t.steps; step += Of::fields, packed += Packed * 64) {
    if (!Keeps) {
      _mm_prefetch((const char*)rows_ahead, _MM_HINT_T1);
      rows_ahead += t.ahead_step;
    }
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
      __m512i nibbles[Packed];
      load_nibbles<Packed>(packed, half, nibbles);
      for (int p = half; p < Packed; p += 2) {
        _mm_prefetch((const char*)(packed + ahead + p * 64), _MM_HINT_T1);
      }
#pragma GCC unroll 2
      for (int field = 0; field < Of::fields / 2; ++field) {
        if (!Keeps && field > 0) {
          asm("" : "+r"(packed));  // else the compiler knows them, and spills
          load_nibbles<Packed>(packed, half, nibbles);
        }
        __m512i w[kPanels];
#pragma GCC unroll 4
        for (int p = 0; p < kPanels; ++p) {
          w[p] = codes.of(nibbles[p / Of::sums], field, p % Of::sums);
          if (Keeps) _mm512_store_si512(to + p * 64, w[p]);
        }
        add_step<kPanels, Rows>(x, w, sums);
        to += kPanels * 64;
        x.advance();
      }
    }
  }
  if (!Keeps && t.values) {
    fold_sums<kPanels, Rows, Of::sums>(t, sums);
  } else {
    store_sums<kPanels, Rows>(t, sums);
  }
}

using Tile = void (*)(const GemmTile&);
/// The tile of each number of rows.
template <int Panels, class Rows = std::make_integer_sequence<int, kTileRows[Panels - 1]>>
struct Tiles;
template <int Panels, int... Row>
struct Tiles<Panels, std::integer_sequence<int, Row...>> {
  static constexpr Tile table[] = {tile<Panels, Row + 1>...};
};

void multiply(const GemmTile& t, int64_t panels, int64_t rows) {
  static constexpr const Tile* kTiles[] = {Tiles<1>::table, Tiles<2>::table, Tiles<3>::table,
                                           Tiles<4>::table};
  kTiles[panels - 1][rows - 1](t);
}

using PackedTile = void (*)(const GemmTile&, const uint8_t*);

/// Of Packed panels: the tile that keeps what it unpacks, and the others by their rows.
template <GemmWeights Kind, int Packed,
          class Rows = std::make_integer_sequence<int, kTileRows[Packed * Codes<Kind>::sums - 1]>>
struct PackedTiles;
template <GemmWeights Kind, int Packed, int... Row>
struct PackedTiles<Kind, Packed, std::integer_sequence<int, Row...>> {
  static constexpr PackedTile keeping = packed_tile<Kind, Packed, kPackedRows, true>;
  static constexpr PackedTile table[] = {packed_tile<Kind, Packed, Row + 1, false>...};
};

/// `of(tiles)` of the tiles for this many packed panels of this kind.
template <class Of>
PackedTile packed_tiles(GemmWeights kind, int64_t packed_panels, Of of) {
  constexpr auto kTernary = GemmWeights::ternary, kTwoStep = GemmWeights::two_step;
  constexpr auto kInt4 = GemmWeights::int4;
  if (kind == kTwoStep) {
    return packed_panels == 1 ? of(PackedTiles<kTwoStep, 1>()) : of(PackedTiles<kTwoStep, 2>());
  }
  switch (packed_panels + (kind == kInt4 ? 4 : 0)) {
    case 1:
      return of(PackedTiles<kTernary, 1>());
    case 2:
      return of(PackedTiles<kTernary, 2>());
    case 3:
      return of(PackedTiles<kTernary, 3>());
    case 4:
      return of(PackedTiles<kTernary, 4>());
    case 5:
      return of(PackedTiles<kInt4, 1>());
    case 6:
      return of(PackedTiles<kInt4, 2>());
    case 7:
      return of(PackedTiles<kInt4, 3>());
    default:
      return of(PackedTiles<kInt4, 4>());
  }
}

int64_t multiply_packed(GemmWeights kind, const GemmTile& t, const uint8_t* packed,
                        int64_t packed_panels, int64_t) {
  packed_tiles(kind, packed_panels, [](auto tiles) { return tiles.keeping; })(t, packed);
  return kPackedRows;
}

void multiply_unpacking(GemmWeights kind, const GemmTile& t, const uint8_t* packed,
                        int64_t packed_panels, int64_t rows) {
  packed_tiles(kind, packed_panels, [rows](auto tiles) { return tiles.table[rows - 1]; })(t,
                                                                                          packed);
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

/// Codes of 64 outputs of one step. Narrowing saturates, so that only the upper bound is asked for;
/// what is no s32 becomes its least, and so does NaN: code 0.
template <bool Shortcut>
void store_64_codes(const GemmOutputs& o, const int32_t* sums, int64_t row, int64_t rows,
                    int64_t first) {
  const __m512 r = _mm512_set1_ps(o.r), max_code = _mm512_set1_ps(o.max_code);
  __m512 a[4], b[4];
#pragma GCC unroll 4
  for (int p = 0; p < 4; ++p) {
    a[p] = _mm512_loadu_ps(o.a + first + p * kLanes);
    b[p] = _mm512_loadu_ps(o.b + first + p * kLanes);
  }
  for (int64_t i = 0; i < rows; ++i, sums += 4 * kLanes) {
    const int64_t at = (row + i) * o.n + first;
    __m512i codes[4];
#pragma GCC unroll 4
    for (int p = 0; p < 4; ++p) {
      const __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(sums + p * kLanes));
      __m512 t = _mm512_fmadd_ps(sum, a[p], b[p]);
      if (Shortcut) {
        const __m128i code = _mm_loadu_si128((const __m128i*)(o.residual + at + p * kLanes));
        t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
      }
      codes[p] = _mm512_cvt_roundps_epi32(_mm512_min_ps(max_code, t),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    }
    _mm512_storeu_si512(o.y + at, narrow<false>(codes));
  }
}

void finish(const GemmOutputs& o, const int32_t* sums, int64_t panels, int64_t row, int64_t rows,
            int64_t first) {
  const int64_t step = panels * kLanes, parts = o.two_step ? 2 : 1;
  if (!o.acc && !o.two_step && panels == 4 && first + step <= o.n) {
    return (o.residual ? store_64_codes<true> : store_64_codes<false>)(o, sums, row, rows, first);
  }
  for (int64_t p = 0; p < panels; p += parts, first += kLanes, sums += parts * kLanes) {
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

template <bool TwoStep>
void fold(const GemmFold& f) {
  constexpr int64_t kParts = TwoStep ? 2 : 1;
  const int64_t width = f.packed_panels * kLanes;
  for (int64_t p = 0; p < f.packed_panels; ++p) {
    const __mmask16 mask = lanes_of(f.outputs - p * kLanes);
    const __m512 a = _mm512_maskz_loadu_ps(mask, f.a + p * kLanes);
    __m512 a_negative{};
    if (TwoStep) a_negative = _mm512_maskz_loadu_ps(mask, f.a_negative + p * kLanes);
    const int32_t* sums = f.sums + p * kParts * kLanes;
    float* value = f.values + p * kLanes;
    for (int64_t i = 0; i < f.rows; ++i, sums += kParts * width, value += width) {
      const __m512i negative = _mm512_loadu_si512(sums + (kParts - 1) * kLanes);
      fold_value<TwoStep>(_mm512_loadu_si512(sums), negative, a, a_negative, value);
    }
  }
}

void fold(const GemmFold& f) { (f.two_step ? fold<true> : fold<false>)(f); }

void finish_values(const GemmOutputs& o, const float* values, int64_t packed_panels, int64_t row,
                   int64_t rows, int64_t first) {
  const __m512 r = _mm512_set1_ps(o.r);
  const GemmGrid grid{1, 0, o.max_code};
  for (int64_t i = row; i < row + rows; ++i) {
    for (int64_t p = 0; p < packed_panels; ++p, values += kLanes) {
      const int64_t output = first + p * kLanes, at = i * o.n + output;
      const __mmask16 mask = lanes_of(o.n - output);
      __m512 t = _mm512_loadu_ps(values);
      if (o.residual) {
        const __m128i code = _mm_maskz_loadu_epi8(mask, o.residual + at);
        t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(code)), r, t);
      }
      if (o.value) _mm512_mask_storeu_ps(o.value + at, mask, t);
      if (o.y) _mm_mask_storeu_epi8(o.y + at, mask, _mm512_cvtepi32_epi8(codes_of(t, grid)));
    }
  }
}

}  // namespace

const GemmIsa lowbit_gemm{
    .lanes = kLanes,
    .group_panels = 4,
    .tile_rows = {kTileRows[0], kTileRows[1], kTileRows[2], kTileRows[3]},
    .gemv_rows = 3,
    .few_rows = 8,
    .copy = copy,
    .multiply_packed = multiply_packed,
    .multiply = multiply,
    .gemv = lowbit_gemv,
    .finish = finish,
    .multiply_unpacking = multiply_unpacking,
    .quantize = quantize,
    .fold = fold,
    .finish_values = finish_values,
};

}  // namespace apprentice::kernels::vnni
