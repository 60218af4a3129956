// Low-bit GEMM on all cores. Threads form a grid over rows of x and groups of outputs. Within its
// part a thread takes rows that fit the second cache level (kBlockBytes of x), group after group of
// outputs: it unpacks the weights of up to kDepth columns into memory of the first level, then
// multiplies them with all rows, tile after tile. With few rows unpacking would not pay: threads
// share the outputs, and `gemv` reads the packed weights.
//
// The u8 by s8 products of the tiles take signed x as x + 128; those of gemv, and the s8 by s8 ones
// of NEON, take unsigned x as x - 128. What that changes, 128 times the sum of an output's codes, is
// where its sum starts.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <string>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_gemm_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/kernels/lowbit_gemm_panels_internal.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kBlockBytes = 512 * 1024, kDepth = 512;
/// Rows that a thread takes at a time however long they are, and that are worth a thread.
constexpr int64_t kLeastRows = 48, kLeastPart = 8;

/// Memory of one thread that grows and stays.
class Scratch {
 public:
  template <class T>
  T* get(int64_t count) {
    const auto bytes = size_t(count) * sizeof(T);
    if (!memory_ || memory_->bytes() < bytes) memory_ = std::make_unique<Buffer>(bytes);
    return static_cast<T*>(memory_->data());
  }

 private:
  std::unique_ptr<Buffer> memory_;
};

/// A launch, its types resolved.
struct Problem {
  const uint8_t* x;  ///< [m, k], u8 or s8
  bool x_signed;
  int64_t m, k;
  GemmWeights kind;
  const GemmPanels* weights;
  const GemmIsa* isa;
  GemmOutputs outputs;

  /// Do tiles take x with the sign bit turned?
  bool flips() const { return x_signed != isa->signed_x; }
  int64_t block_depth() const { return kind == GemmWeights::int4 ? 8 : 16; }
  /// 2 * 255 * 1 * 64 and 2 * 255 * 8 * 8 are 32640 each.
  int64_t narrow_steps() const { return kind == GemmWeights::int4 ? 8 : 64; }
  /// Panels of sums that a packed panel gives.
  int64_t parts() const { return kind == GemmWeights::two_step ? 2 : 1; }
  /// Panels of a group's sums, and numbers of a row of them.
  int64_t panels(int64_t group) const { return weights->width(group) * parts(); }
  int64_t width(int64_t group) const { return panels(group) * isa->lanes; }
  /// The most rows of a tile of a whole group.
  int64_t tile_rows() const { return isa->tile_rows[isa->group_panels - 1]; }
  int64_t first_output(int64_t group) const {
    return group * weights->group_panels * weights->lanes;
  }
  const int32_t* start(int64_t group) const {
    return weights->start.data() + first_output(group) * parts();
  }
};

alignas(64) constexpr int32_t kZeros[kMostPanels * 16] = {};

/// Copies rows of x, `step` bytes apart, each byte xor `flip`, and zeros behind.
void copy_rows(const Problem& p, int64_t row, int64_t rows, uint8_t flip, int64_t step,
               uint8_t* to) {
  for (int64_t i = 0; i < rows; ++i, to += step) {
    p.isa->copy(p.x + (row + i) * p.k, p.k, flip, to);
    std::memset(to + p.k, 0, size_t(step - p.k));
  }
}

/// What one thread multiplies: rows [row, row_end) by groups [group, group_end).
struct Part {
  int64_t row, row_end, group, group_end;
};

/// Rows of x as the tiles read them.
struct Rows {
  const uint8_t* x;
  int64_t step;
};

/// Rows whose sign is not the tiles', and rows that end within a block of weights, are copied.
Rows prepare_rows(const Problem& p, int64_t row, int64_t rows) {
  if (!p.flips() && p.k % p.block_depth() == 0) return {p.x + row * p.k, p.k};
  static thread_local Scratch memory;
  const int64_t step = (p.k + 63) / 64 * 64 + 64;
  uint8_t* to = memory.get<uint8_t>(rows * step);
  copy_rows(p, row, rows, p.flips() ? 0x80 : 0, step, to);
  return {to, step};
}

/// Some columns of a block of rows by those of a group of outputs.
struct Piece {
  Rows x;             ///< its columns of the first row
  int64_t row, rows;  ///< of the whole x
  int64_t group, block, blocks;
  bool first, last;  ///< of the pieces
  int32_t* sums;     ///< of all rows, from piece to piece
  int8_t* w;         ///< for the unpacked weights
};

/// Can the last sums go where they are wanted, with nothing to finish?
bool is_direct(const Problem& p, const Piece& piece) {
  const GemmOutputs& o = p.outputs;
  return piece.last && !o.y && !o.two_step &&
         p.first_output(piece.group) + p.width(piece.group) <= o.n;
}

/// The tile of the first row.
GemmTile first_tile(const Problem& p, const Piece& piece) {
  const int64_t width = p.width(piece.group);
  GemmTile tile{};
  tile.x = piece.x.x;
  tile.x_step = piece.x.step;
  tile.w = piece.w;
  tile.steps = piece.blocks * p.block_depth() / 4;
  tile.narrow_steps = p.narrow_steps();
  tile.to = piece.sums;
  tile.to_step = width;
  tile.from = tile.to;
  tile.from_step = width;
  if (piece.first) {
    tile.from = p.flips() ? p.start(piece.group) : kZeros;
    tile.from_step = 0;
  }
  if (is_direct(p, piece)) {
    tile.to = p.outputs.acc + piece.row * p.outputs.n + p.first_output(piece.group);
    tile.to_step = p.outputs.n;
  }
  return tile;
}

/// The first tile unpacks the weights for the others, which are of nearly equal height: a low one
/// would wait for the latency of its few sums.
void multiply_piece(const Problem& p, const Piece& piece) {
  const int64_t panels = p.panels(piece.group), packed = p.weights->width(piece.group);
  const int64_t first = p.first_output(piece.group);
  const bool finishes = piece.last && !is_direct(p, piece);
  GemmTile tile = first_tile(p, piece);
  const auto advance = [&](int64_t row, int64_t rows) {
    if (finishes) p.isa->finish(p.outputs, tile.to, panels, row, rows, first);
    tile.x += rows * tile.x_step;
    tile.from += rows * tile.from_step;
    tile.to += rows * tile.to_step;
  };
  const uint8_t* weights = p.weights->group(piece.group) + piece.block * packed * p.isa->lanes * 4;
  const int64_t begun = p.isa->multiply_packed(p.kind, tile, weights, packed, piece.rows);
  advance(piece.row, begun);
  const int64_t left = piece.rows - begun, most = p.isa->tile_rows[panels - 1];
  const int64_t tiles = std::max<int64_t>(1, (left + most - 1) / most), high = left % tiles;
  int64_t row = piece.row + begun;
  for (int64_t t = 0; row < piece.row + piece.rows; ++t) {
    const int64_t rows = left / tiles + (t < high);
    p.isa->multiply(tile, panels, rows);
    advance(row, rows);
    row += rows;
  }
}

/// Rows [row, row + rows) by one group.
void multiply_group(const Problem& p, const Rows& x, int64_t row, int64_t rows, int64_t group) {
  static thread_local Scratch weights, sums;
  const int64_t width = p.width(group);
  const int64_t depth = p.block_depth(), blocks = p.weights->blocks;
  const int64_t pieces = std::max<int64_t>(1, (blocks * depth + kDepth - 1) / kDepth);
  int8_t* w = weights.get<int8_t>((kDepth + depth) * width);
  int32_t* kept = sums.get<int32_t>(rows * width);
  for (int64_t i = 0; i < pieces; ++i) {
    const int64_t block = i * blocks / pieces, count = (i + 1) * blocks / pieces - block;
    const Rows columns{x.x + block * depth, x.step};
    multiply_piece(p, {columns, row, rows, group, block, count, i == 0, i + 1 == pieces, kept, w});
  }
}

void multiply_part(const Problem& p, const Part& part) {
  const int64_t tile = p.tile_rows(), fitting = kBlockBytes / std::max<int64_t>(p.k, 1);
  const int64_t most = std::max(kLeastRows, fitting / tile * tile);
  const int64_t rows = part.row_end - part.row, row_blocks = (rows + most - 1) / most;
  for (int64_t b = 0; b < row_blocks; ++b) {
    const int64_t row = part.row + b * rows / row_blocks;
    const int64_t count = part.row + (b + 1) * rows / row_blocks - row;
    const Rows x = prepare_rows(p, row, count);
    for (int64_t g = part.group; g < part.group_end; ++g) multiply_group(p, x, row, count, g);
  }
}

/// The threads' grid: how many parts the groups are cut into, so that the largest part is small.
/// Beside its products a part prepares its rows of x and unpacks its weights, about an eighth of a
/// tile's time for each tile of rows and each group.
int64_t out_parts(int64_t tiles, int64_t groups, int64_t threads) {
  int64_t best = 1, least = 0;
  for (int64_t outs = 1; outs <= threads; ++outs) {
    const int64_t rows = threads / outs;
    const int64_t t = (tiles + rows - 1) / rows, g = (groups + outs - 1) / outs;
    const int64_t cost = 8 * t * g + t + g;
    if (outs == 1 || cost < least) best = outs, least = cost;
  }
  return best;
}

void run_many_rows(const Problem& p) {
  const int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  const int64_t tiles = (p.m + p.tile_rows() - 1) / p.tile_rows();
  const int64_t groups = p.weights->groups();
  const int64_t outs = std::min(groups, out_parts(tiles, groups, threads));
  const int64_t rows = std::clamp<int64_t>(p.m / kLeastPart, 1, threads / outs);
#pragma omp parallel for schedule(static) if (rows * outs > 1)
  for (int64_t part = 0; part < rows * outs; ++part) {
    const int64_t r = part / outs, o = part % outs;
    multiply_part(
        p, {r * p.m / rows, (r + 1) * p.m / rows, o * groups / outs, (o + 1) * groups / outs});
  }
}

/// Signed rows of whole blocks, and their sums behind them.
struct FewRows {
  const int8_t* x;
  int64_t step;
  const int32_t* sums;
};

FewRows prepare_few_rows(const Problem& p) {
  static thread_local Scratch memory;
  const int64_t step = (p.weights->blocks * p.block_depth() + 63) / 64 * 64;
  auto* x = memory.get<uint8_t>(p.m * (step + 4));
  auto* sums = reinterpret_cast<int32_t*>(x + p.m * step);
  copy_rows(p, 0, p.m, p.x_signed ? 0 : 0x80, step, x);
  const auto* signed_x = reinterpret_cast<const int8_t*>(x);
  for (int64_t i = 0; i < p.m; ++i) {
    int32_t sum = 0;
    for (int64_t k = 0; k < p.k; ++k) sum += signed_x[i * step + k];
    sums[i] = sum;
  }
  return {signed_x, step, sums};
}

void multiply_few(const Problem& p, const FewRows& x, int64_t group) {
  const int64_t panels = p.panels(group), packed = p.weights->width(group);
  alignas(64) int32_t sums[4 * kMostPanels * 16];
  const int64_t most = p.isa->gemv_rows;
  for (int64_t row = 0; row < p.m; row += most) {
    const int64_t rows = std::min(most, p.m - row);
    const GemvTile tile{x.x + row * x.step,
                        x.step,
                        x.sums + row,
                        p.weights->group(group),
                        p.weights->blocks,
                        p.x_signed ? kZeros : p.start(group),
                        sums};
    p.isa->gemv(p.kind, tile, packed, rows);
    p.isa->finish(p.outputs, sums, panels, row, rows, p.first_output(group));
  }
}

void run_few_rows(const Problem& p) {
  const FewRows x = prepare_few_rows(p);
  const int64_t groups = p.weights->groups();
#pragma omp parallel for schedule(static) if (groups > 1 && !omp_in_parallel())
  for (int64_t g = 0; g < groups; ++g) multiply_few(p, x, g);
}

template <class X, int Bits>
std::shared_ptr<const GemmPanels> prepack(const typename LowbitGemm<X, Bits>::Args& args,
                                          const GemmIsa& isa) {
  return make_gemm_panels(args.weight, isa.lanes, isa.group_panels / (args.two_step ? 2 : 1),
                          args.two_step, std::is_signed_v<X> ? -128 : 128);
}

template <class X, int Bits>
void run(const typename LowbitGemm<X, Bits>::Args& args, const GemmIsa& isa) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = prepack<X, Bits>(args, isa);
  const Epilogue& e = args.epilogue;
  Problem p{};
  p.x = reinterpret_cast<const uint8_t*>(args.x.data);
  p.x_signed = std::is_signed_v<X>;
  p.m = args.x.size(0), p.k = args.weight.cols;
  p.kind = Bits == 4       ? GemmWeights::int4
           : args.two_step ? GemmWeights::two_step
                           : GemmWeights::ternary;
  p.weights = static_cast<const GemmPanels*>(own ? own.get() : args.prepacked);
  p.isa = &isa;
  p.outputs = {args.weight.rows, args.two_step,
               args.acc.data,    args.acc_negative.data,
               args.y.data,      args.residual.data,
               e.a.data,         e.a_negative.data,
               e.b.data,         e.r,
               float(e.max_code)};
  if (p.m == 0 || args.weight.rows == 0) return;
  p.m <= isa.few_rows ? run_few_rows(p) : run_many_rows(p);
}

template <class X, int Bits>
void add(const std::string& family, int priority, const GemmIsa& isa, const std::string& missing) {
  using Op = LowbitGemm<X, Bits>;
  using Args = typename Op::Args;
  const auto refuse = [missing](const Args& args) {
    if (Bits == 4 && args.two_step) return std::string("two steps are for ternary weights");
    return missing;
  };
  kernel_table<Op>().add({std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_" + family,
                          family, priority, refuse,
                          [&isa](const Args& args, Stream) { run<X, Bits>(args, isa); },
                          [&isa](const Args& args) -> std::shared_ptr<const Prepacked> {
                            return prepack<X, Bits>(args, isa);
                          }});
}

[[maybe_unused]] void add_all(const std::string& family, int priority, const GemmIsa& isa,
                              const std::string& missing) {
  add<uint8_t, 2>(family, priority, isa, missing);
  add<uint8_t, 4>(family, priority, isa, missing);
  add<int8_t, 2>(family, priority, isa, missing);
  add<int8_t, 4>(family, priority, isa, missing);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_gemm) {
#if APPRENTICE_X86
  using namespace apprentice::kernels;
  const auto& cpu = apprentice::cpu_features();
  add_all("avx2", 10, avx2::lowbit_gemm, cpu.avx2 ? "" : "this CPU has no AVX2");
  static const GemmIsa narrow_vnni = avxvnni::lowbit_gemm(avx2::lowbit_gemm);
  add_all("avxvnni", 15, narrow_vnni, cpu.avx_vnni ? "" : "this CPU has no AVX-VNNI");
  add_all("vnni", 20, vnni::lowbit_gemm, cpu.avx512_vnni ? "" : "this CPU has no AVX-512-VNNI");
#elif APPRENTICE_ARM64
  using namespace apprentice::kernels;
  const bool dot = apprentice::cpu_features().neon_dot;
  add_all("neon", 20, neon::lowbit_gemm, dot ? "" : "this CPU has no dot product of Armv8.2");
#endif
}
