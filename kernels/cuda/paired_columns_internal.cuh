#pragma once

#include <apprentice/base/view.h>
#include <apprentice/kernels/cuda/neighbours_internal.cuh>
#include <apprentice/kernels/cuda/reduce_axis_internal.cuh>

// Kernels of [m, c] whose threads keep to a pair of neighbouring columns, whatever the types of the
// tensors: a row's two elements are one access where c is even and memory is aligned, 8 bytes of
// f32, 4 of bf16, so a warp asks for 128 bytes at least.
namespace apprentice::kernels::SIMT_NS {

/// The columns of [m, c] by twos.
struct PairedColumns {
  int64_t c;
  bool words;

  SIMT_FN PairAccess pair(int64_t i) const { return {words, 2 * i + 1 < c}; }
  SIMT_FN int64_t at(int64_t row, int64_t i) const { return row * c + 2 * i; }
};
template <class... T>
PairedColumns paired(int64_t c, const T*... tensors) {
  return {c, c % 2 == 0 && (is_aligned_for<2>(tensors) && ...)};
}
inline std::array<int64_t, 3> pair_sizes(int64_t m, int64_t c) { return {1, m, (c + 1) / 2}; }

/// What two elements of a View member of Args are in memory.
template <class V>
struct PairOf {};
template <class T, int R>
struct PairOf<View<const T, R>> {
  using Type = typename Word<T, 2>::Type;
};

struct TwoSums {
  double first, second;
};
struct PairSums {
  TwoSums of[2];
};
struct PairSumsKind {
  using State = PairSums;
  SIMT_FN static State empty() { return {}; }
  SIMT_FN static State combine(const State& a, const State& b) {
    State sum;
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k)
      sum.of[k] = {a.of[k].first + b.of[k].first, a.of[k].second + b.of[k].second};
    return sum;
  }
};

/// All elements of [m, c], pairs of columns by `Pass`: common() gives what all elements have in
/// common, column(j, first) what those of a column have (`first` to one thread of those that ask),
/// load(pair, at) the inputs of two elements, and store(pair, common, columns, inputs, at) works.
/// Inputs of kRows rows are under way at once, since what is stored may lie where the next is
/// loaded.
template <class Pass>
SIMT_KERNEL_BOUNDS(kTeamBlock, 4)
column_pass_kernel(Pass pass, PairedColumns paired, ReduceTiles tiles) {
  constexpr int kRows = Pass::kRows;
  const int step = kTeamBlock / tiles.columns;
  const auto common = pass.common();
  for (int64_t tile = blockIdx.x; tile < tiles.count(); tile += gridDim.x) {
    const TilePart own(tiles, tile);
    if (own.i >= tiles.inner) continue;
    const PairAccess pair = paired.pair(own.i);
    const int64_t j = 2 * own.i;
    const typename Pass::Column columns[2] = {pass.column(j, own.begin == 0),
                                              pass.column(j + pair.both, own.begin == 0)};
    for (int64_t a = own.begin; a < own.end; a += kRows * step) {
      typename Pass::Inputs inputs[kRows];
      SIMT_UNROLL
      for (int u = 0; u < kRows; ++u)
        if (a + u * step < own.end) inputs[u] = pass.load(pair, paired.at(a + u * step, own.i));
      SIMT_UNROLL
      for (int u = 0; u < kRows; ++u)
        if (a + u * step < own.end)
          pass.store(pair, common, columns, inputs[u], paired.at(a + u * step, own.i));
    }
  }
}

template <class Pass>
void column_pass(const Pass& pass, int64_t m, const PairedColumns& paired, simt::Stream stream) {
  const ReduceTiles tiles = reduce_tiles(pair_sizes(m, paired.c), 132 * 16, 2 * Pass::kRows);
  simt::launch(column_pass_kernel<Pass>, tiles.blocks(), kTeamBlock, 0, stream, pass, paired,
               tiles);
}

/// store(sums, j) of the columns of a pair.
template <class Column>
struct PairTarget {
  Column column;
  int64_t c;
  SIMT_FN void store(const PairSums& sums, int64_t i) const {
    SIMT_UNROLL
    for (int k = 0; k < 2; ++k)
      if (2 * i + k < c) column.store(sums.of[k], 2 * i + k);
  }
};

}  // namespace apprentice::kernels::SIMT_NS
