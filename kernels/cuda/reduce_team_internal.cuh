#pragma once

#include <algorithm>

#include <apprentice/base/view.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::kernels::SIMT_NS {

inline constexpr int kTeamBlock = 256;

/// The threads of a block of kTeamBlock that share a row: a warp, or all of the block. Element j of
/// the row is of thread j % Threads, and the teams of the grid take rows team, team + teams, ...
template <int Threads>
struct RowTeam {
  static_assert(Threads == 32 || Threads == kTeamBlock);
  static constexpr int kThreads = Threads, kPerBlock = kTeamBlock / Threads;

  SIMT_FN static int rank() { return int(threadIdx.x) % Threads; }
  SIMT_FN static int64_t first_row() {
    return int64_t(blockIdx.x) * kPerBlock + threadIdx.x / Threads;
  }
  SIMT_FN static int64_t row_step() { return int64_t(gridDim.x) * kPerBlock; }

  /// combine(...) of the values of all threads, always by the same tree, for every thread of the
  /// team; all of them call it. combine(a, b) is combine(b, a) bit for bit.
  template <class T, class Combine>
  SIMT_FN static T all(T v, Combine combine) {
    SIMT_UNROLL
    for (int lanes = 16; lanes > 0; lanes /= 2) v = combine(v, simt::shfl_xor(v, lanes));
    if constexpr (Threads > 32) {
      SIMT_SHARED(T, parts, Threads / 32);
      if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = v;
      simt::sync_block();
      v = parts[0];
      for (int warp = 1; warp < Threads / 32; ++warp) v = combine(v, parts[warp]);
      simt::sync_block();  // the next call overwrites parts
    }
    return v;
  }
  SIMT_FN static double sum(double v) {
    return all(v, [](double a, double b) { return a + b; });
  }
  SIMT_FN static float largest(float v) {
    return all(v, [](float a, float b) { return a > b ? a : b; });
  }

  /// Blocks for so many rows, at most so many that each team of a large GPU takes several.
  static unsigned blocks(int64_t rows) {
    return unsigned(std::clamp<int64_t>((rows + kPerBlock - 1) / kPerBlock, 1, 132 * 16));
  }
};

using WarpTeam = RowTeam<32>;
using BlockTeam = RowTeam<kTeamBlock>;

/// Rows up to this length are of a warp: at most 8 elements a thread.
inline constexpr int64_t kWarpRow = 256;

/// run(team, blocks) for the team and the blocks that suit the rows of x.
template <class T, class Run>
void for_rows(View2<T> x, Run run) {
  if (x.size(1) <= kWarpRow)
    run(WarpTeam(), WarpTeam::blocks(x.size(0)));
  else
    run(BlockTeam(), BlockTeam::blocks(x.size(0)));
}

}  // namespace apprentice::kernels::SIMT_NS
