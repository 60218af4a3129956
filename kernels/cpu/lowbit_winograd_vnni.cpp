// Exact integer Winograd with AVX-512-VNNI. First v of all tiles of the call is made, which stays
// in the second cache level. Then, for each pair of blocks of 16 outputs and each set of up to 7
// tiles, column after column of positions is summed up over the input channels: in 28 registers,
// two positions of 7 tiles and 2 x 16 outputs. A step broadcasts 4 bytes of v and multiplies them
// with 2 x 16 x 4 bytes of u.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels::vnni {
namespace {

/// Bytes that weights are fetched ahead: those of large layers come from memory or the last cache
/// level, and the processor by itself fetches too little of two streams.
constexpr int64_t kAhead = 4096;

/// One column of positions of a set.
struct Column {
  const int8_t* panel;
  int64_t panel_bytes;  ///< from a panel to the next
  const int32_t* start;
  int64_t start_step;  ///< s32 from a panel's to the next
  const uint8_t* v[4];
  int64_t tile_bytes, run_bytes, steps;
  int32_t* sums;
};

/// Adds two positions, whose v begin at v0 and v1, to acc. Every third tile has a pointer of its
/// own, which reaches the next two by scaled indexing: a register for each would spill.
template <int Panels, int Tiles, int Runs>
__attribute__((always_inline)) inline void add_positions(const Column& c, const int8_t* panel,
                                                         const uint8_t* v0, const uint8_t* v1,
                                                         __m512i (&acc)[2][Panels][Tiles]) {
  constexpr int kPointers = (Tiles + 2) / 3;
  const int64_t tile_bytes = c.tile_bytes, panel_bytes = c.panel_bytes, steps = c.steps;
  for (int run = 0; run < Runs; ++run) {
    const uint8_t* at[2][kPointers];
#pragma GCC unroll 3
    for (int k = 0; k < kPointers; ++k) {
      at[0][k] = v0 + run * c.run_bytes + 3 * k * tile_bytes;
      at[1][k] = v1 + run * c.run_bytes + 3 * k * tile_bytes;
      asm("" : "+r"(at[0][k]), "+r"(at[1][k]));  // else the compiler derives them from one another
    }
    for (int64_t step = 0; step < steps; ++step) {
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        __m512i u[Panels];
#pragma GCC unroll 2
        for (int k = 0; k < Panels; ++k) {
          u[k] = _mm512_load_si512(panel + k * panel_bytes + i * 64);
          _mm_prefetch(panel + k * panel_bytes + i * 64 + kAhead, _MM_HINT_T0);
        }
#pragma GCC unroll 7
        for (int t = 0; t < Tiles; ++t) {
          int32_t bytes;
          __builtin_memcpy(&bytes, at[i][t / 3] + t % 3 * tile_bytes, 4);
          const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 2
          for (int k = 0; k < Panels; ++k) {
            acc[i][k][t] = _mm512_dpbusd_epi32(acc[i][k][t], v, u[k]);
          }
        }
#pragma GCC unroll 3
        for (int k = 0; k < kPointers; ++k) at[i][k] += 4;
      }
      panel += 128;
    }
  }
}

/// The two sums of a column of positions, of Tiles neighbouring tiles.
template <int Panels, int Tiles, int Runs>
void add_column(const Column& c) {
  __m512i acc[2][Panels][Tiles];
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 2
    for (int k = 0; k < Panels; ++k) {
      const __m512i start = _mm512_loadu_si512(c.start + k * c.start_step + i * 16);
#pragma GCC unroll 7
      for (int t = 0; t < Tiles; ++t) acc[i][k][t] = start;
    }
  }
  add_positions<Panels, Tiles, Runs>(c, c.panel, c.v[1], c.v[2], acc);
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
#pragma GCC unroll 7
    for (int t = 0; t < Tiles; ++t) {
      const __m512i m1 = acc[0][k][t], m2 = acc[1][k][t];
      acc[0][k][t] = _mm512_add_epi32(m1, m2);
      acc[1][k][t] = _mm512_sub_epi32(m1, m2);
    }
  }
  const int8_t* panel = c.panel + Runs * c.steps * 128;
  add_positions<Panels, Tiles, Runs>(c, panel, c.v[0], c.v[3], acc);
#pragma GCC unroll 2
  for (int i = 0; i < 2; ++i) {
#pragma GCC unroll 7
    for (int t = 0; t < Tiles; ++t) {
#pragma GCC unroll 2
      for (int k = 0; k < Panels; ++k) {
        _mm512_store_si512(c.sums + i * kWinogradStep + (t * 2 + k) * 16, acc[i][k][t]);
      }
    }
  }
}

template <int... Tiles>
struct Counts {};
using AddColumn = void (*)(const Column&);

/// `add_column` of each number of tiles from 1 to kWinogradTiles, behind an unused first.
template <int Panels, int Runs, class Tiles>
struct Table;
template <int Panels, int Runs, int... Tiles>
struct Table<Panels, Runs, Counts<Tiles...>> {
  static_assert(sizeof...(Tiles) == kWinogradTiles);
  static constexpr AddColumn table[] = {nullptr, add_column<Panels, Tiles, Runs>...};
};
using UpToMost = Counts<1, 2, 3, 4, 5, 6, 7>;

template <int Rows>
class Worker {
 public:
  using Tile = WinogradTile<Rows>;
  explicit Worker(const LowbitWinograd& w) : w_(w) {}

  void run() {
    if constexpr (Rows == 1) {
      winograd_input<1>(w_, w_.first_tile, w_.end_tile - w_.first_tile, w_.v);
    } else {
      each_set([&](int64_t first, int64_t tiles, uint8_t* v) {
        winograd_input<2>(w_, first, tiles, v);
      });
    }
    const int64_t blocks = w_.two_step ? 1 : 2;
    for (int64_t block = w_.first_block; block < w_.end_block; block += blocks) {
      const bool single = !w_.two_step && block + 1 == w_.end_block;
      each_set([&](int64_t first, int64_t tiles, uint8_t* v) {
        add_set(block, single ? 1 : 2, tiles, v);
        store_set(block, single ? 1 : 2, first, tiles);
      });
    }
  }

 private:
  /// Calls fn(first tile, tiles, v) for each set.
  template <class Fn>
  void each_set(Fn fn) {
    int64_t first = w_.first_tile;
    uint8_t* v = w_.v;
    for (int64_t left = w_.sets; left > 0; --left) {
      const int64_t tiles = (w_.end_tile - first + left - 1) / left;
      fn(first, tiles, v);
      first += tiles;
      v += Rows == 2 ? Tile::positions * w_.plane_bytes : tiles * w_.padded_in;
    }
  }

  void add_set(int64_t block, int64_t panels, int64_t tiles, const uint8_t* v) {
    const auto& table =
        panels == 2 ? Table<2, Tile::runs, UpToMost>::table : Table<1, Tile::runs, UpToMost>::table;
    const int64_t panel = block * (w_.two_step ? 2 : 1), steps = w_.padded_in / 4;
    Column c;
    c.panel_bytes = w_.panel_bytes;
    c.start_step = Tile::columns * 32;
    c.tile_bytes = w_.padded_in;
    c.run_bytes = w_.tile_cols * w_.padded_in;
    c.steps = steps;
    for (int64_t column = 0; column < Tile::columns; ++column) {
      c.panel = w_.panels + panel * w_.panel_bytes + column * 2 * Tile::runs * steps * 128;
      c.start = w_.start + (panel * Tile::columns + column) * 32;
      for (int i = 0; i < 4; ++i) c.v[i] = v + (i * Tile::columns + column) * w_.plane_bytes;
      c.sums = w_.sums + column * 2 * kWinogradStep;
      table[tiles](c);
    }
  }

  void store_set(int64_t block, int64_t panels, int64_t first, int64_t tiles) {
    const int64_t row = first / w_.tile_cols;
    OutputPixel pixel = {row / w_.tile_rows, row % w_.tile_rows * Rows, first % w_.tile_cols * 2};
    for (int64_t t = 0; t < tiles; ++t) {
      winograd_output<Rows>(w_, block, panels, pixel, w_.sums + t * 32);
      next(pixel);
    }
  }
  /// Moves to the next tile.
  void next(OutputPixel& pixel) const {
    pixel.col += 2;
    if (pixel.col < w_.out_cols) return;
    pixel.col = 0;
    pixel.row += Rows;
    if (pixel.row < w_.out_rows) return;
    pixel.row = 0;
    ++pixel.image;
  }

  const LowbitWinograd& w_;
};

}  // namespace

template <int Rows>
void lowbit_winograd(const LowbitWinograd& w) {
  Worker<Rows>(w).run();
}
template void lowbit_winograd<1>(const LowbitWinograd&);
template void lowbit_winograd<2>(const LowbitWinograd&);

}  // namespace apprentice::kernels::vnni
