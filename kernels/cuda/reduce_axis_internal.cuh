#pragma once

#include <array>
#include <type_traits>

#include <apprentice/kernels/cuda/reduce_team_internal.cuh>

// Reductions of [outer, axis, inner] along the axis. A `Source` says what is accumulated: its
// State, empty(), combine(a, b), column(i), what the elements of a column have in common,
// load(o, a, i), the Inputs that lie at an element, and add(state, column, inputs, a), the state
// with that element; a `Target` where it goes: store(state, o * inner + i). Where too few blocks
// would have work, the axis is cut into parts, whose states a second launch combines; how many
// follows from the shape alone, so the result is always the same.
namespace apprentice::kernels::SIMT_NS {

/// A tile is `columns` neighbours of the inner axis (a power of 2, 32 at most) over `chunk` of the
/// axis.
struct ReduceTiles {
  int64_t outer, axis, inner, chunk, parts;
  int columns;

  SIMT_HD int64_t across() const { return (inner + columns - 1) / columns; }
  SIMT_HD int64_t count() const { return across() * outer * parts; }
  unsigned blocks() const { return unsigned(std::clamp<int64_t>(count(), 1, 132 * 16)); }
};

/// What a thread of a block of kTeamBlock has of a tile: of column i, every step-th row from
/// `begin` on. Neighbours have neighbouring columns or rows, so a warp reads memory in one piece.
struct TilePart {
  int64_t i, o, part, begin, end;

  SIMT_FN TilePart(const ReduceTiles& tiles, int64_t tile)
      : i(tile % tiles.across() * tiles.columns + threadIdx.x % tiles.columns),
        o(tile / tiles.across() % tiles.outer),
        part(tile / tiles.across() / tiles.outer),
        begin(part * tiles.chunk + threadIdx.x / tiles.columns),
        end((part + 1) * tiles.chunk < tiles.axis ? (part + 1) * tiles.chunk : tiles.axis) {}
};

/// For sources whose columns have nothing in common.
struct PlainColumns {
  struct Column {};
  SIMT_FN static Column column(int64_t) { return {}; }
};

/// `state` with a thread's elements of a tile, in the order of its rows; the inputs of kRows of
/// them are under way at once.
template <class Source>
SIMT_FN typename Source::State reduce_rows(const Source& source, const TilePart& own, int step,
                                           typename Source::State state) {
  constexpr int kRows = sizeof(typename Source::Inputs) > 16 ? 2 : 4;  // registers are few
  if (own.begin >= own.end) return state;  // and there may be no column to look at
  const auto column = source.column(own.i);
  for (int64_t a = own.begin; a < own.end; a += kRows * step) {
    typename Source::Inputs inputs[kRows];
    SIMT_UNROLL
    for (int u = 0; u < kRows; ++u)
      if (a + u * step < own.end) inputs[u] = source.load(own.o, a + u * step, own.i);
    SIMT_UNROLL
    for (int u = 0; u < kRows; ++u)
      if (a + u * step < own.end) state = source.add(state, column, inputs[u], a + u * step);
  }
  return state;
}

/// Blocks take tiles block, block + blocks, ...; a tree over the threads of a column ends each.
template <class Source, class Target>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
reduce_tiles_kernel(Source source, Target target, ReduceTiles tiles) {
  using State = typename Source::State;
  SIMT_SHARED(State, states, kTeamBlock);
  const int thread = int(threadIdx.x), step = kTeamBlock / tiles.columns;
  for (int64_t tile = blockIdx.x; tile < tiles.count(); tile += gridDim.x) {
    const TilePart own(tiles, tile);
    State state = Source::empty();
    if (own.i < tiles.inner) state = reduce_rows(source, own, step, state);
    states[thread] = state;
    simt::sync_block();
    for (int half = kTeamBlock / 2; half >= tiles.columns; half /= 2) {
      if (thread < half) states[thread] = Source::combine(states[thread], states[thread + half]);
      simt::sync_block();
    }
    if (thread < tiles.columns && own.i < tiles.inner)
      target.store(states[thread], (own.part * tiles.outer + own.o) * tiles.inner + own.i);
  }
}

/// Short rows, which lie next to each other (inner 1): a warp a row.
template <class Source, class Target>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
reduce_rows_kernel(Source source, Target target, int64_t rows, int64_t n) {
  for (int64_t row = WarpTeam::first_row(); row < rows; row += WarpTeam::row_step()) {
    auto state = Source::empty();
    for (int64_t j = WarpTeam::rank(); j < n; j += WarpTeam::kThreads)
      state = source.add(state, source.column(0), source.load(row, j, 0), j);
    state = WarpTeam::all(state, [](auto a, auto b) { return Source::combine(a, b); });
    if (WarpTeam::rank() == 0) target.store(state, row);
  }
}

/// The power of 2, `most` at most, of columns of a tile.
inline int tile_columns(int64_t inner, int most) {
  int columns = 1;
  while (columns < most && columns < inner) columns *= 2;
  return columns;
}

/// The tiles of such sizes: as many parts as give `most` tiles, but at least `rows` rows a thread.
inline ReduceTiles reduce_tiles(const std::array<int64_t, 3>& sizes, int64_t most = 528,
                                int64_t rows = 16) {
  ReduceTiles tiles{sizes[0], sizes[1], sizes[2], sizes[1], 1, tile_columns(sizes[2], 32)};
  const int64_t wanted = most / std::max<int64_t>(tiles.count(), 1);
  const int64_t least = rows * (kTeamBlock / tiles.columns);
  if (wanted > 1 && tiles.axis > least) {
    tiles.chunk = std::max(least, (tiles.axis + wanted - 1) / wanted);
    tiles.parts = (tiles.axis + tiles.chunk - 1) / tiles.chunk;
  }
  return tiles;
}

/// The states of parts, [parts, inner].
template <class State>
struct PartsTarget {
  State* parts;
  SIMT_FN void store(State state, int64_t at) const { parts[at] = state; }
};
template <class Source>
struct PartsSource : PlainColumns {
  using State = typename Source::State;
  using Inputs = State;
  const State* parts;
  int64_t inner;
  SIMT_FN static State empty() { return Source::empty(); }
  SIMT_FN static State combine(State a, State b) { return Source::combine(a, b); }
  SIMT_FN Inputs load(int64_t, int64_t part, int64_t i) const { return parts[part * inner + i]; }
  SIMT_FN State add(State state, Column, const Inputs& part, int64_t) const {
    return combine(state, part);
  }
};

/// Memory that reduce_along needs for states of Source.
template <class Source>
size_t parts_bytes(const std::array<int64_t, 3>& sizes) {
  const ReduceTiles tiles = reduce_tiles(sizes);
  return tiles.parts > 1
             ? size_t(tiles.parts * tiles.outer * tiles.inner) * sizeof(typename Source::State)
             : 0;
}

/// `scratch`: parts_bytes of device memory.
template <class Source, class Target>
void reduce_along(const std::array<int64_t, 3>& sizes, const Source& source, const Target& target,
                  void* scratch, simt::Stream stream) {
  using State = typename Source::State;
  const ReduceTiles tiles = reduce_tiles(sizes);
  if (tiles.parts == 1) {
    simt::launch(reduce_tiles_kernel<Source, Target>, tiles.blocks(), kTeamBlock, 0, stream, source,
                 target, tiles);
    return;
  }
  auto* parts = static_cast<State*>(scratch);
  simt::launch(reduce_tiles_kernel<Source, PartsTarget<State>>, tiles.blocks(), kTeamBlock, 0,
               stream, source, PartsTarget<State>{parts}, tiles);
  // Few columns a tile: more threads for each, and more blocks.
  const int64_t inner = tiles.outer * tiles.inner;
  const ReduceTiles last{1, tiles.parts, inner, tiles.parts, 1, tile_columns(inner, 4)};
  simt::launch(reduce_tiles_kernel<PartsSource<Source>, Target>, last.blocks(), kTeamBlock, 0,
               stream, PartsSource<Source>{{}, parts, inner}, target, last);
}

/// Numbers of x as Kind takes them: State, empty(), combine, and of(number, place on the axis).
template <class Kind, class X = float>
struct AxisSource : Kind, PlainColumns {
  using State = typename Kind::State;
  using Inputs = X;
  const X* x;
  int64_t axis, inner;
  SIMT_FN Inputs load(int64_t o, int64_t a, int64_t i) const {
    return x[(o * axis + a) * inner + i];
  }
  SIMT_FN State add(State state, Column, Inputs v, int64_t a) const {
    return Kind::combine(state, Kind::of(v, a));
  }
};

struct SumKind {
  using State = double;
  SIMT_FN static State empty() { return 0; }
  SIMT_FN static State of(float v, int64_t) { return double(v); }
  SIMT_FN static State combine(State a, State b) { return a + b; }
};
/// y = sum / divisor.
struct SumTarget {
  float* y;
  double divisor;
  SIMT_FN void store(double sum, int64_t at) const { y[at] = float(sum / divisor); }
};

inline bool is_of_short_rows(const std::array<int64_t, 3>& sizes) {
  return sizes[2] == 1 && sizes[1] <= kWarpRow;
}

/// Memory that reduce_as needs; no state of its kinds takes more.
inline size_t reduce_scratch_bytes(const std::array<int64_t, 3>& sizes) {
  return is_of_short_rows(sizes) ? 0 : parts_bytes<AxisSource<SumKind>>(sizes);
}

/// Reduces x as Kind says; `scratch`: reduce_scratch_bytes of device memory.
template <class Kind, class X, class Target>
void reduce_as(View3<const X> x, const Target& target, void* scratch, simt::Stream stream) {
  using Source = AxisSource<Kind, X>;
  static_assert(sizeof(typename Source::State) <= sizeof(double));
  const Source source{{}, {}, x.data, x.size(1), x.size(2)};
  if (is_of_short_rows(x.sizes))
    simt::launch(reduce_rows_kernel<Source, Target>, WarpTeam::blocks(x.size(0)), kTeamBlock, 0,
                 stream, source, target, x.size(0), x.size(1));
  else
    reduce_along(x.sizes, source, target, scratch, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
