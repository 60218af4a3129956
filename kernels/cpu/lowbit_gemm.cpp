// Low-bit GEMM on all cores. Threads form a grid over rows of x and groups of outputs. Within its
// part a thread takes rows that fit the second cache level (kBlockBytes of x), group after group of
// outputs: it unpacks the weights of up to kGemmDepth columns into memory of the first level, then
// multiplies them with all rows, tile after tile. Where the processor unpacks beside the products
// at no cost, every tile does so for itself, over all columns. With few rows unpacking would not
// pay: threads share the outputs, and `gemv` reads the packed weights.
//
// The u8 by s8 products of the tiles take signed x as x + 128; those of gemv, and the s8 by s8 ones
// of NEON, take unsigned x as x - 128. What that changes, 128 times the sum of an output's codes,
// is where its sum starts.
//
// Columns with a scale of their own (spans) are summed apart; each sum is folded into f32 values,
// in ascending order.
#include <omp.h>

#include <string>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_gemm_few_rows_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_group_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>

namespace apprentice::kernels {
namespace {

using Problem = GemmProblem;
using Scratch = GemmScratch;

constexpr int64_t kBlockBytes = 512 * 1024;
/// Rows that a thread takes at a time however long they are, and that are worth a thread.
constexpr int64_t kLeastRows = 48, kLeastPart = 8;
/// The same where tiles unpack for themselves: nothing is shared by many rows, and few leave room
/// for the next ones, as they are before they are prepared.
constexpr int64_t kUnpackingBlockBytes = 128 * 1024, kUnpackingLeastRows = 24;
/// From here on rows of up to kGemmDepth columns multiply faster, by 1 to 3 %, by weights that one
/// tile unpacked for all: their tiles are too short to hide the unpacking.
constexpr int64_t kManyRows = 256;

/// What one thread multiplies: rows [row, row_end) by groups [group, group_end).
struct Part {
  int64_t row, row_end, group, group_end;
};

/// Rows that are quantized, whose sign is not the tiles', or that end within a block of weights are
/// prepared in other memory.
GemmRows prepare_rows(const Problem& p, int64_t row, int64_t rows) {
  if (p.x && !p.flips() && p.k % p.block_depth() == 0) return {p.x + row * p.k, p.k};
  static thread_local Scratch memory;
  const int64_t step = (p.k + 63) / 64 * 64 + 64;
  uint8_t* to = memory.get<uint8_t>(rows * step);
  p.prepare_rows(row, rows, p.flips() ? 0x80 : 0, step, to);
  return {to, step};
}

/// Bytes of a row of x as it is given.
int64_t row_bytes(const Problem& p) { return p.k * (p.real_x ? 4 : 1); }

/// Tiles of rows of x that a thread takes at a time.
int64_t tiles_at_a_time(const Problem& p) {
  const bool unpacking = p.isa->multiply_unpacking;
  const int64_t bytes = unpacking ? kUnpackingBlockBytes : kBlockBytes;
  const int64_t least = unpacking ? kUnpackingLeastRows : kLeastRows;
  const int64_t row = std::max<int64_t>(1, unpacking ? row_bytes(p) : p.k);
  return std::max(least, bytes / row) / p.tile_rows();
}

/// The `rows` rows from `row` on, as far as they are the part's.
GemmAhead ahead_of(const Problem& p, const Part& part, int64_t row, int64_t rows) {
  const int64_t step = row_bytes(p), left = std::min(rows, part.row_end - row);
  const auto* x = p.real_x ? reinterpret_cast<const uint8_t*>(p.real_x) : p.x;
  const int64_t tiles = (rows + p.tile_rows() - 1) / p.tile_rows() * (part.group_end - part.group);
  return {x + row * step, x + (row + left) * step, rows * step / std::max<int64_t>(1, tiles)};
}

/// Blocks of rows are whole tiles but for the last.
void multiply_part(const Problem& p, const Part& part) {
  const int64_t tile = p.tile_rows(), tiles = (part.row_end - part.row + tile - 1) / tile;
  const int64_t most = tiles_at_a_time(p), blocks = (tiles + most - 1) / most;
  const auto row_of = [&](int64_t block) {
    return std::min(part.row_end, part.row + block * tiles / blocks * tile);
  };
  for (int64_t b = 0; b < blocks; ++b) {
    const int64_t row = row_of(b), rows = row_of(b + 1) - row;
    const GemmRows x = prepare_rows(p, row, rows);
    GemmAhead ahead = ahead_of(p, part, row + rows, rows);
    for (int64_t g = part.group; g < part.group_end; ++g)
      multiply_gemm_group(p, x, row, rows, g, ahead);
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

/// Columns of a span: those of a group of columns, or all blocks.
template <class X, int Bits>
int64_t span_of(const typename LowbitGemm<X, Bits>::Args& args) {
  const int64_t group = args.group_size, columns = args.weight.cols;
  if (group > 0 && group < columns) return group;
  constexpr int64_t kBlock = block_depth<Bits>;
  return std::max<int64_t>(1, (columns + kBlock - 1) / kBlock) * kBlock;
}

template <class X, int Bits>
std::shared_ptr<const GemmPanels> prepack(const typename LowbitGemm<X, Bits>::Args& args,
                                          const GemmIsa& isa) {
  return make_gemm_panels(args.weight,
                          {isa.lanes, isa.group_panels / (args.two_step ? 2 : 1), args.two_step,
                           std::is_signed_v<X> ? -128 : 128, span_of<X, Bits>(args)});
}

template <class X, int Bits>
void run(const typename LowbitGemm<X, Bits>::Args& args, const GemmIsa& isa) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = prepack<X, Bits>(args, isa);
  Problem p{};
  p.x = reinterpret_cast<const uint8_t*>(args.real_x ? nullptr : args.x.data);
  p.real_x = args.real_x.data;
  p.grid = {args.grid.inv_step, float(args.grid.min_code), float(args.grid.max_code)};
  p.x_signed = std::is_signed_v<X>;
  p.m = args.rows(), p.k = args.weight.cols;
  p.kind = Bits == 4       ? GemmWeights::int4
           : args.two_step ? GemmWeights::two_step
                           : GemmWeights::ternary;
  p.weights = static_cast<const GemmPanels*>(own ? own.get() : args.prepacked);
  p.isa = &isa;
  if (args.group_size > 0) {
    p.span_a = args.group_a.data, p.span_a_negative = args.group_a_negative.data;
  }
  p.outputs = gemm_outputs(args);
  if (p.m == 0 || args.weight.rows == 0) return;
  p.m <= isa.few_rows ? run_gemm_of_few_rows(p) : run_many_rows(p);
}

/// Why no instruction set here can do it, or "".
template <class X, int Bits>
std::string refuse(const typename LowbitGemm<X, Bits>::Args& args) {
  constexpr int64_t kDepthOf = block_depth<Bits>;
  if (Bits == 4 && args.two_step) return "two steps are for ternary weights";
  if (args.group_size == 0) return "";
  if (args.weight.cols == 0) return "groups have no columns";
  const bool whole = args.group_size % kDepthOf == 0 || args.group_size >= args.weight.cols;
  return whole ? ""
               : fmt::format("groups have {} columns, expected a multiple of {}", args.group_size,
                             kDepthOf);
}

/// One way to compute it: `method` ends the names of its kernels; what is `missing` here, and why
/// it is `slow`, or "".
struct Way {
  std::string family, method;
  int priority;
  const GemmIsa& isa;
  std::string missing, slow;
};

template <class X, int Bits>
void add(const Way& way) {
  using Op = LowbitGemm<X, Bits>;
  using Args = typename Op::Args;
  const GemmIsa& isa = way.isa;
  Kernel<Op> kernel{std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_" + way.method,
                    way.family,
                    way.priority,
                    [missing = way.missing](const Args& args) {
                      return missing.empty() ? refuse<X, Bits>(args) : missing;
                    },
                    [&isa](const Args& args, Stream) { run<X, Bits>(args, isa); },
                    [&isa](const Args& args) -> std::shared_ptr<const Prepacked> {
                      return prepack<X, Bits>(args, isa);
                    }};
  if (isa.multiply_unpacking) {
    kernel.yield = [slow = way.slow](const Args& args) -> std::string {
      const bool short_rows = args.weight.cols <= kGemmDepth && args.group_size == 0;
      if (!slow.empty() || !short_rows || args.rows() < kManyRows) return slow;
      return "many short rows share weights that were unpacked once";
    };
  }
  kernel_table<Op>().add(std::move(kernel));
}

[[maybe_unused]] void add_all(const Way& way) {
  add<uint8_t, 2>(way);
  add<uint8_t, 4>(way);
  add<int8_t, 2>(way);
  add<int8_t, 4>(way);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_gemm) {
#if APPRENTICE_X86
  using namespace apprentice::kernels;
  const auto& cpu = apprentice::cpu_features();
  add_all({"avx2", "avx2", 10, avx2::lowbit_gemm, cpu.avx2 ? "" : "this CPU has no AVX2", ""});
  static const GemmIsa narrow_vnni = avxvnni::lowbit_gemm(avx2::lowbit_gemm);
  add_all(
      {"avxvnni", "avxvnni", 15, narrow_vnni, cpu.avx_vnni ? "" : "this CPU has no AVX-VNNI", ""});
  const std::string missing = cpu.avx512_vnni ? "" : "this CPU has no AVX-512-VNNI";
  static const GemmIsa keeping = [] {
    GemmIsa isa = vnni::lowbit_gemm;
    isa.multiply_unpacking = nullptr;
    return isa;
  }();
  add_all({"vnni", "vnni_keeping", 20, keeping, missing, ""});
  // AMD has vector units that vpdpbusd does not use; Intel unpacks in those that it does.
  const std::string slow =
      __builtin_cpu_is("amd") ? "" : "this CPU unpacks in the units of vpdpbusd";
  add_all({"vnni", "vnni", 25, vnni::lowbit_gemm, missing, slow});
#elif APPRENTICE_ARM64
  using namespace apprentice::kernels;
  const bool dot = apprentice::cpu_features().neon_dot;
  add_all({"neon", "neon", 20, neon::lowbit_gemm,
           dot ? "" : "this CPU has no dot product of Armv8.2", ""});
#endif
}
