// Ternary GEMM whose weights were pruned in tiles of 4 columns by 16 outputs, on all cores: zero
// tiles are no work. kBlockBytes of x at a time are put into order, by all threads; then threads
// share groups of kPanels panels of outputs, whose tiles stay in the second cache level, by blocks
// of kPrunedRows rows.
//
// The products are u8 by s8: signed x comes as x + 128, and sums start at -128 times the sum of an
// output's codes.
#include <omp.h>

#include <algorithm>
#include <string>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_gemm_problem_internal.h>
#include <apprentice/kernels/cpu/pruned_gemm_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/kernels/lowbit_gemm_tiles_internal.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kBlockBytes = 2048 * 1024;
constexpr int64_t kLanes = GemmTiles::lanes, kPanels = 8;
/// What a tile takes here, in what a tile takes where all are multiplied: kTile, and kRead / rows
/// more, as it has four times the bytes to read. Measured with 4096 outputs and columns on one core
/// of Zen 5: 512 rows are 1.04 times as fast with 75 % of the tiles, 1.4 with 50 %, 2.3 with 25 %;
/// 64 rows 0.96 with 50 %.
constexpr double kTile = 4.0 / 3, kRead = 48;

/// A launch, its types resolved.
struct Problem {
  const uint8_t* x;  ///< [m, k]
  uint8_t flip;
  int64_t m, k;
  const GemmTiles* tiles;
  GemmOutputs outputs;

  int64_t block_bytes() const { return (k + 3) / 4 * 4 * kPrunedRows; }
};

/// Stores what is wanted of a panel's sums of up to kPrunedVector rows, which the next panel's
/// follow in memory.
void finish(const GemmOutputs& o, const int32_t* sums, int64_t row, int64_t rows, int64_t output) {
  if (!o.y && output + kLanes <= o.n) {
    return vnni::pruned_transpose(sums, rows, o.acc + row * o.n + output, o.n);
  }
  alignas(64) int32_t by_row[kPrunedVector * kLanes];
  vnni::pruned_transpose(sums, rows, by_row, kLanes);
  vnni::lowbit_gemm.finish(o, by_row, 1, row, rows, output);
}

/// Rows [row, row + rows) by panels [first, end), at most kPanels; `x` are the rows in order. One
/// stretch of columns after the other, whose x stays in the first cache level for all panels.
void multiply(const Problem& p, const uint8_t* x, int64_t row, int64_t rows, int64_t first,
              int64_t end) {
  static thread_local GemmScratch memory;
  constexpr int64_t kSums = kPrunedRows * kLanes;
  auto* kept = memory.get<int32_t>(kPanels * kSums);
  const GemmTiles& t = *p.tiles;
  for (int64_t stretch = 0; stretch < t.stretches; ++stretch) {
    for (int64_t panel = first; panel < end; ++panel) {
      const int64_t begin = t.first[size_t(panel * t.stretches + stretch)];
      PrunedSums sums{};
      sums.x = x;
      sums.w = t.tile(begin);
      sums.column = t.column.data() + begin;
      sums.count = t.first[size_t(panel * t.stretches + stretch + 1)] - begin;
      if (stretch == 0) sums.start = p.flip ? t.start.data() + panel * kLanes : kGemmZeros;
      sums.sums = kept + (panel - first) * kSums;
      vnni::pruned_multiply(sums, rows);
    }
  }
  for (int64_t r = 0; r < rows; r += kPrunedVector) {
    const int64_t some = std::min(kPrunedVector, rows - r);
    for (int64_t panel = first; panel < end; ++panel) {
      finish(p.outputs, kept + (panel - first) * kSums + r, row + r, some, panel * kLanes);
    }
  }
}

void run(const Problem& p) {
  static thread_local GemmScratch memory;  // for rows in order
  const int64_t blocks = (p.m + kPrunedRows - 1) / kPrunedRows, bytes = p.block_bytes();
  const int64_t most = std::max<int64_t>(1, kBlockBytes / std::max<int64_t>(bytes, 1));
  const int64_t panels = p.tiles->panels, groups = (panels + kPanels - 1) / kPanels;
  auto* x = memory.get<uint8_t>(std::min(most, blocks) * bytes);
  const auto rows_of = [&](int64_t b) { return std::min(kPrunedRows, p.m - b * kPrunedRows); };
#pragma omp parallel if (blocks * panels > 1 && !omp_in_parallel())
  for (int64_t block = 0; block < blocks; block += most) {
    const int64_t some = std::min(most, blocks - block);
#pragma omp for schedule(static)
    for (int64_t b = 0; b < some; ++b) {
      const int64_t row = (block + b) * kPrunedRows;
      vnni::pruned_arrange(p.x + row * p.k, p.k, rows_of(block + b), p.flip, x + b * bytes);
    }
#pragma omp for schedule(static)
    for (int64_t task = 0; task < groups * some; ++task) {
      const int64_t b = task % some, row = (block + b) * kPrunedRows, group = task / some;
      multiply(p, x + b * bytes, row, rows_of(block + b), group * panels / groups,
               (group + 1) * panels / groups);
    }
  }
}

template <class X>
using Args = typename TernaryGemm<X>::Args;

template <class X>
std::shared_ptr<const GemmTiles> prepack(const Args<X>& args) {
  return make_gemm_tiles(args.weight, std::is_signed_v<X> ? -128 : 0);
}

template <class X>
void launch(const Args<X>& args) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = prepack<X>(args);
  Problem p{};
  p.x = reinterpret_cast<const uint8_t*>(args.x.data);
  p.flip = std::is_signed_v<X> ? 0x80 : 0;
  p.m = args.x.size(0), p.k = args.weight.cols;
  p.tiles = static_cast<const GemmTiles*>(own ? own.get() : args.prepacked);
  p.outputs = gemm_outputs(args);
  if (p.m > 0 && args.weight.rows > 0) run(p);
}

/// Share of the tiles that are not zero, as prepared, or counted.
template <class X>
double density(const Args<X>& args) {
  if (const auto* tiles = dynamic_cast<const GemmTiles*>(args.prepacked)) return tiles->density;
  return double(count_tiles(args.weight)) / double(std::max<int64_t>(all_tiles(args.weight), 1));
}

template <class X>
std::string yield(const Args<X>& args) {
  const double share = density<X>(args), rows = double(std::max<int64_t>(args.rows(), 1));
  if (share * (kTile + kRead / rows) < 1) return "";
  return fmt::format(
      "{:.1f} % of the 4x16 tiles are not zero: multiplying all is faster for {} rows", 100 * share,
      rows);
}

template <class X>
void add(const std::string& missing) {
  using Op = TernaryGemm<X>;
  const auto refuse = [missing](const Args<X>& args) {
    if (args.two_step) return std::string("weights have two steps");
    return missing.empty() ? args.beyond_codes() : missing;
  };
  kernel_table<Op>().add(
      {std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_vnni_pruned", "vnni", 30,
       refuse, [](const Args<X>& args, Stream) { launch<X>(args); },
       [](const Args<X>& args) -> std::shared_ptr<const Prepacked> { return prepack<X>(args); },
       false, yield<X>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(pruned_gemm) {
#if APPRENTICE_X86
  const std::string missing =
      apprentice::cpu_features().avx512_vnni ? "" : "this CPU has no AVX-512-VNNI";
  apprentice::kernels::add<uint8_t>(missing);
  apprentice::kernels::add<int8_t>(missing);
#endif
}
