#pragma once

#include <array>
#include <type_traits>

#include <apprentice/kernels/cuda/reduce_team_internal.cuh>

// Reductions of x [outer, axis, inner] along the axis. What is accumulated is a `State` of 8 bytes at
// most. Where too few blocks would have work, the axis is cut into parts, whose states a second
// launch combines; how many follows from the shape alone, so the result is always the same.
namespace apprentice::kernels::SIMT_NS {

struct SumState {
  using State = double;
  SIMT_FN static State empty() { return 0; }
  SIMT_FN static State of(double v, int64_t) { return v; }
  SIMT_FN static State combine(State a, State b) { return a + b; }
};

/// y = what the state says, or the state itself where y is one of a part.
template <class State, class Out>
SIMT_FN void store_state(State state, double divisor, Out& y) {
  if constexpr (std::is_same_v<State, Out>)
    y = state;
  else if constexpr (std::is_same_v<Out, int64_t>)
    y = int64_t(uint32_t(~state));
  else
    y = Out(state / divisor);
}

/// A tile is `columns` neighbours of the inner axis (a power of 2, 32 at most) over `chunk` of the
/// axis; y is [parts, outer, inner].
struct ReduceTiles {
  int64_t outer, axis, inner, chunk, parts;
  int columns;

  SIMT_HD int64_t across() const { return (inner + columns - 1) / columns; }
  SIMT_HD int64_t count() const { return across() * outer * parts; }
};

/// Blocks take tiles block, block + blocks, ...; thread t of one takes column t % columns and
/// every (256 / columns)-th row, so that a warp reads neighbours; then a tree over the rows.
template <class Kind, class In, class Out>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
reduce_tiles_kernel(const In* x, Out* y, ReduceTiles tiles, double divisor) {
  using State = typename Kind::State;
  SIMT_SHARED(State, states, kTeamBlock);
  const int thread = int(threadIdx.x), column = thread % tiles.columns;
  const int step = kTeamBlock / tiles.columns;
  for (int64_t tile = blockIdx.x; tile < tiles.count(); tile += gridDim.x) {
    const int64_t i = tile % tiles.across() * tiles.columns + column;
    const int64_t o = tile / tiles.across() % tiles.outer;
    const int64_t part = tile / tiles.across() / tiles.outer;
    const int64_t begin = part * tiles.chunk;
    const int64_t end = begin + tiles.chunk < tiles.axis ? begin + tiles.chunk : tiles.axis;
    State state = Kind::empty();
    if (i < tiles.inner)
      for (int64_t a = begin + thread / tiles.columns; a < end; a += step)
        state = Kind::combine(state, Kind::of(x[(o * tiles.axis + a) * tiles.inner + i], a));
    states[thread] = state;
    simt::sync_block();
    for (int half = kTeamBlock / 2; half >= tiles.columns; half /= 2) {
      if (thread < half) states[thread] = Kind::combine(states[thread], states[thread + half]);
      simt::sync_block();
    }
    if (thread < tiles.columns && i < tiles.inner)
      store_state(states[thread], divisor, y[(part * tiles.outer + o) * tiles.inner + i]);
  }
}

/// Short rows, which lie next to each other: a warp a row.
template <class Kind, class Out>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
reduce_rows_kernel(const float* x, Out* y, int64_t rows, int64_t n, double divisor) {
  for (int64_t row = WarpTeam::first_row(); row < rows; row += WarpTeam::row_step()) {
    auto state = Kind::empty();
    for (int64_t j = WarpTeam::rank(); j < n; j += WarpTeam::kThreads)
      state = Kind::combine(state, Kind::of(x[row * n + j], j));
    state = WarpTeam::all(state, [](auto a, auto b) { return Kind::combine(a, b); });
    if (WarpTeam::rank() == 0) store_state(state, divisor, y[row]);
  }
}

/// The power of 2, 32 at most, of columns of a tile.
inline int tile_columns(int64_t inner) {
  int columns = 1;
  while (columns < 32 && columns < inner) columns *= 2;
  return columns;
}

/// The tiles of such an x: as many parts as give 1024 tiles, but at least 16 rows a thread.
inline ReduceTiles reduce_tiles(const std::array<int64_t, 3>& sizes) {
  constexpr int64_t kTiles = 1024, kRows = 16;
  ReduceTiles tiles{sizes[0], sizes[1], sizes[2], sizes[1], 1, tile_columns(sizes[2])};
  const int64_t wanted = kTiles / std::max<int64_t>(tiles.count(), 1);
  const int64_t least = kRows * (kTeamBlock / tiles.columns);
  if (wanted > 1 && tiles.axis > least) {
    tiles.chunk = std::max(least, (tiles.axis + wanted - 1) / wanted);
    tiles.parts = (tiles.axis + tiles.chunk - 1) / tiles.chunk;
  }
  return tiles;
}

inline bool is_of_short_rows(const std::array<int64_t, 3>& sizes) {
  return sizes[2] == 1 && sizes[1] <= kWarpRow;
}

/// What reduce needs of `parts`.
inline size_t reduce_scratch_bytes(const std::array<int64_t, 3>& sizes) {
  if (is_of_short_rows(sizes)) return 0;
  const ReduceTiles tiles = reduce_tiles(sizes);
  return tiles.parts > 1 ? size_t(tiles.parts * tiles.outer * tiles.inner) * 8 : 0;
}

/// y [outer, inner] of x; `parts`: reduce_scratch_bytes of device memory.
template <class Kind, class Out>
void reduce_as(View3<const float> x, Out* y, double divisor, void* parts, simt::Stream stream) {
  using State = typename Kind::State;
  const auto blocks = [](const ReduceTiles& tiles) {
    return unsigned(std::clamp<int64_t>(tiles.count(), 1, 132 * 16));
  };
  if (is_of_short_rows(x.sizes)) {
    simt::launch(reduce_rows_kernel<Kind, Out>, WarpTeam::blocks(x.size(0)), kTeamBlock, 0, stream,
                 x.data, y, x.size(0), x.size(1), divisor);
    return;
  }
  const ReduceTiles tiles = reduce_tiles(x.sizes);
  if (tiles.parts == 1) {
    simt::launch(reduce_tiles_kernel<Kind, float, Out>, blocks(tiles), kTeamBlock, 0, stream,
                 x.data, y, tiles, divisor);
    return;
  }
  auto* states = static_cast<State*>(parts);
  simt::launch(reduce_tiles_kernel<Kind, float, State>, blocks(tiles), kTeamBlock, 0, stream,
               x.data, states, tiles, divisor);
  const int64_t inner = tiles.outer * tiles.inner;
  const ReduceTiles last{1, tiles.parts, inner, tiles.parts, 1, tile_columns(inner)};
  simt::launch(reduce_tiles_kernel<Kind, State, Out>, blocks(last), kTeamBlock, 0, stream, states,
               y, last, divisor);
}

}  // namespace apprentice::kernels::SIMT_NS
