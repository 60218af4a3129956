// AVX-512-VNNI kernels of low-bit GEMM. A tile is up to 4 panels of 16 outputs by up to 6 rows of x
// (fewer panels: more rows); a step broadcasts 4 bytes of a row (load port only) and multiplies
// them with 16 x 4 weights, one vpdpbusd a panel: u8 x s8 into s32, which cannot saturate. Weights
// of a tile are a byte each, in memory of the first cache level, unpacked there once for many
// tiles.
#include <utility>

#include <apprentice/kernels/cpu/lowbit_gemm_vnni_internal.h>

namespace apprentice::kernels::vnni {
namespace {

/// The most rows of a tile, whose sums fill the registers, and the rows of one that unpacks, which
/// needs some for that.
constexpr int kTileRows[] = {12, 12, 8, 6};
constexpr int kPackedRows = 4;

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

}  // namespace

const GemmIsa lowbit_gemm{
    .lanes = kLanes,
    .group_panels = 4,
    .tile_rows = {kTileRows[0], kTileRows[1], kTileRows[2], kTileRows[3]},
    .gemv_rows = 3,
    .few_rows = 8,
    .copy = lowbit_gemm_copy,
    .multiply_packed = multiply_packed,
    .multiply = multiply,
    .gemv = lowbit_gemv,
    .finish = lowbit_gemm_finish,
    .multiply_unpacking = multiply_unpacking,
    .quantize = lowbit_gemm_quantize,
    .fold = lowbit_gemm_fold,
    .finish_values = lowbit_gemm_finish_values,
};

}  // namespace apprentice::kernels::vnni
