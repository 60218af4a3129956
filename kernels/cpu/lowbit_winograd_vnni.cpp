// Exact integer Winograd with AVX-512-VNNI. First v of all tiles of the call is made, which stays in
// the second cache level. Then, for each pair of blocks of 16 outputs and each up to 14 neighbouring
// tiles, one position after the other is summed up over the input channels: 28 registers of sums, a
// step broadcasts 4 bytes of v and multiplies them with 2 x 16 x 4 bytes of u. Between the positions
// the tiles of the set of sums before are transformed and stored: that work is no vpdpbusd, so it
// runs beside those that still wait.
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels::vnni {
namespace {

/// Bytes that weights are fetched ahead: those of large layers come from memory or the last cache
/// level, and the processor by itself fetches too little of two streams.
constexpr int64_t kAhead = 4096;

/// One position of some tiles and outputs.
struct Position {
  const int8_t* panel;
  int64_t panel_bytes;  ///< from a panel to the next
  const int32_t* start;
  int64_t start_step;  ///< s32 from a panel's to the next
  const uint8_t* v;
  int64_t tile_bytes, run_bytes, steps;
  int32_t* sums;
};

/// Sums of Tiles neighbouring tiles. Every third tile has a pointer of its own, which reaches the next
/// two by scaled indexing: a register for each would spill.
template <int Panels, int Tiles, int Runs>
void multiply(const Position& p) {
  constexpr int kPointers = (Tiles + 2) / 3;
  __m512i acc[Panels][Tiles];
#pragma GCC unroll 2
  for (int k = 0; k < Panels; ++k) {
    const __m512i start = _mm512_loadu_si512(p.start + k * p.start_step);
#pragma GCC unroll 14
    for (int t = 0; t < Tiles; ++t) acc[k][t] = start;
  }
  const int8_t* panel = p.panel;
  const int64_t tile_bytes = p.tile_bytes, panel_bytes = p.panel_bytes, steps = p.steps;
  for (int run = 0; run < Runs; ++run) {
    const uint8_t* at[kPointers];
#pragma GCC unroll 5
    for (int k = 0; k < kPointers; ++k) {
      at[k] = p.v + run * p.run_bytes + 3 * k * tile_bytes;
      asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
    }
    for (int64_t step = 0; step < steps; ++step) {
      __m512i u[Panels];
#pragma GCC unroll 2
      for (int k = 0; k < Panels; ++k) {
        u[k] = _mm512_load_si512(panel + k * panel_bytes);
        _mm_prefetch(panel + k * panel_bytes + kAhead, _MM_HINT_T0);
      }
#pragma GCC unroll 14
      for (int t = 0; t < Tiles; ++t) {
        int32_t bytes;
        __builtin_memcpy(&bytes, at[t / 3] + t % 3 * tile_bytes, 4);
        const __m512i v = _mm512_set1_epi32(bytes);
#pragma GCC unroll 2
        for (int k = 0; k < Panels; ++k) acc[k][t] = _mm512_dpbusd_epi32(acc[k][t], v, u[k]);
      }
      panel += 64;
#pragma GCC unroll 5
      for (int k = 0; k < kPointers; ++k) at[k] += 4;
    }
  }
#pragma GCC unroll 14
  for (int t = 0; t < Tiles; ++t) {
#pragma GCC unroll 2
    for (int k = 0; k < Panels; ++k) _mm512_store_si512(p.sums + (t * 2 + k) * 16, acc[k][t]);
  }
}

template <int... Tiles>
struct Counts {};
using Multiply = void (*)(const Position&);

/// `multiply` of each number of tiles from 1 to kWinogradTiles, behind an unused first.
template <int Panels, int Runs, class Tiles>
struct Table;
template <int Panels, int Runs, int... Tiles>
struct Table<Panels, Runs, Counts<Tiles...>> {
  static_assert(sizeof...(Tiles) == kWinogradTiles);
  static constexpr Multiply table[] = {nullptr, multiply<Panels, Tiles, Runs>...};
};
using UpToMost = Counts<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14>;

/// Tiles [first, first + tiles), whose v begins at `v`, and `panels` panels from those of output block
/// `block` on.
struct Set {
  int64_t block, panels;
  int64_t first, tiles;
  const uint8_t* v;
  int32_t* sums;
};

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
        add({block, single ? 1 : 2, first, tiles, v, w_.sums + odd_ * kWinogradSet});
      });
    }
    store_tiles(Tile::positions);
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

  /// Sums up a set, and stores the one before.
  void add(const Set& set) {
    const auto& table = set.panels == 2 ? Table<2, Tile::runs, UpToMost>::table
                                        : Table<1, Tile::runs, UpToMost>::table;
    const int64_t panel = set.block * (w_.two_step ? 2 : 1), steps = w_.padded_in / 4;
    Position p;
    p.panel_bytes = w_.panel_bytes;
    p.start_step = Tile::positions * 16;
    p.tile_bytes = w_.padded_in;
    p.run_bytes = w_.tile_cols * w_.padded_in;
    p.steps = steps;
    for (int64_t position = 0; position < Tile::positions; ++position) {
      p.panel = w_.panels + panel * w_.panel_bytes + position * Tile::runs * steps * 64;
      p.start = w_.start + (panel * Tile::positions + position) * 16;
      p.v = set.v + position * w_.plane_bytes;
      p.sums = set.sums + position * kWinogradStep;
      table[set.tiles](p);
      store_tiles(position + 1);
    }
    before_ = set;
    stored_ = 0;
    pixel_ = pixel_of(set.first);
    odd_ = !odd_;
  }

  /// Stores so many tiles of the set before that `position` of all positions' work is done.
  void store_tiles(int64_t position) {
    const int64_t end = before_.tiles * position / Tile::positions;
    if (stored_ == end) return;
    for (; stored_ < end; ++stored_) {
      winograd_output<Rows>(w_, before_.block, before_.panels, pixel_, before_.sums + stored_ * 32);
      next(pixel_);
    }
  }

  /// The first output pixel of a tile.
  OutputPixel pixel_of(int64_t tile) const {
    const int64_t row = tile / w_.tile_cols;
    return {row / w_.tile_rows, row % w_.tile_rows * Rows, tile % w_.tile_cols * 2};
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
  Set before_{};
  int64_t stored_ = 0;
  OutputPixel pixel_{};  ///< of the next tile to store
  int odd_ = 0;
};

}  // namespace

template <int Rows>
void lowbit_winograd(const LowbitWinograd& w) {
  Worker<Rows>(w).run();
}
template void lowbit_winograd<1>(const LowbitWinograd&);
template void lowbit_winograd<2>(const LowbitWinograd&);

}  // namespace apprentice::kernels::vnni
