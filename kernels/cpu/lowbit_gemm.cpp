// Low-bit GEMM on all cores. Threads form a grid over rows of x and groups of outputs. Within its
// part a thread takes rows that fit the second cache level (kBlockBytes of x), group after group of
// outputs: it unpacks the weights of up to kDepth columns into memory of the first level, then
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
#include <apprentice/kernels/cpu/lowbit_gemm_problem_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>

namespace apprentice::kernels {
namespace {

using Problem = GemmProblem;
using Scratch = GemmScratch;

constexpr int64_t kBlockBytes = 512 * 1024, kDepth = 512;
/// Rows that a thread takes at a time however long they are, and that are worth a thread.
constexpr int64_t kLeastRows = 48, kLeastPart = 8;
/// The same where tiles unpack for themselves: nothing is shared by many rows, and few leave room
/// for the next ones, as they are before they are prepared.
constexpr int64_t kUnpackingBlockBytes = 128 * 1024, kUnpackingLeastRows = 24;
/// The most sums of a tile.
constexpr int64_t kMostTileSums = 6 * kMostPanels * 16;

/// What one thread multiplies: rows [row, row_end) by groups [group, group_end).
struct Part {
  int64_t row, row_end, group, group_end;
};

/// Rows of x as the tiles read them.
struct Rows {
  const uint8_t* x;
  int64_t step;
};

/// Rows that are quantized, whose sign is not the tiles', or that end within a block of weights are
/// prepared in other memory.
Rows prepare_rows(const Problem& p, int64_t row, int64_t rows) {
  if (p.x && !p.flips() && p.k % p.block_depth() == 0) return {p.x + row * p.k, p.k};
  static thread_local Scratch memory;
  const int64_t step = (p.k + 63) / 64 * 64 + 64;
  uint8_t* to = memory.get<uint8_t>(rows * step);
  p.prepare_rows(row, rows, p.flips() ? 0x80 : 0, step, to);
  return {to, step};
}

/// The rows of x that come next, asked for a little by each tile that unpacks.
struct Ahead {
  const uint8_t *at, *end;
  int64_t step;  ///< bytes a tile

  /// What a tile of this many blocks asks for.
  void next(int64_t blocks, GemmTile& tile) {
    tile.ahead = at;
    tile.ahead_step = at < end ? step / std::max<int64_t>(1, blocks) : 0;
    at = std::min(at + step, end);
  }
};

/// Tiles of nearly equal height: a low one would wait for the latency of its few sums.
struct Heights {
  Heights(int64_t rows, int64_t most)
      : tiles(std::max<int64_t>(1, (rows + most - 1) / most)), rows(rows) {}
  int64_t of(int64_t tile) const { return rows / tiles + (tile < rows % tiles); }
  int64_t tiles, rows;
};

/// Some columns of a block of rows by those of a group of outputs.
struct Piece {
  Rows x;             ///< its columns of the first row
  int64_t row, rows;  ///< of the whole x
  int64_t group, block, blocks, span;
  bool first, last;  ///< of the span
  bool finishes;     ///< last of all
  int32_t* sums;     ///< of all rows, from piece to piece
  int8_t* w;         ///< for the unpacked weights
  float* values;     ///< of all rows, from span to span
  Ahead* ahead;
};

/// Can the last sums go where they are wanted, with nothing to finish?
bool is_direct(const Problem& p, const Piece& piece) {
  const GemmOutputs& o = p.outputs;
  return piece.finishes && !o.y && !o.two_step && !p.folds() &&
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
    tile.from = p.flips() ? p.start(piece.span, piece.group) : kGemmZeros;
    tile.from_step = 0;
  }
  if (is_direct(p, piece)) {
    tile.to = p.outputs.acc + piece.row * p.outputs.n + p.first_output(piece.group);
    tile.to_step = p.outputs.n;
  }
  return tile;
}

/// What becomes of the sums of rows [row, row + rows) of a piece.
void finish_rows(const Problem& p, const Piece& piece, const int32_t* sums, int64_t row,
                 int64_t rows) {
  if (!piece.last || is_direct(p, piece)) return;
  const int64_t first = p.first_output(piece.group);
  if (!p.folds()) {
    p.isa->finish(p.outputs, sums, p.panels(piece.group), piece.row + row, rows, first);
    return;
  }
  float* values = piece.values + row * p.outputs_of(piece.group);
  p.fold(sums, piece.span, piece.group, rows, values);
  if (piece.finishes) {
    p.isa->finish_values(p.outputs, values, p.weights->width(piece.group), piece.row + row, rows,
                         first);
  }
}

/// Unless every tile unpacks for itself, the first one does so for the others.
void multiply_piece(const Problem& p, const Piece& piece) {
  const int64_t panels = p.panels(piece.group), packed = p.weights->width(piece.group);
  const uint8_t* weights = p.weights->group(piece.group) + piece.block * packed * p.isa->lanes * 4;
  const auto unpacking = p.isa->multiply_unpacking;
  GemmTile tile = first_tile(p, piece);
  int64_t row = 0;
  const auto advance = [&](int64_t rows) {
    finish_rows(p, piece, tile.to, row, rows);
    tile.x += rows * tile.x_step;
    tile.from += rows * tile.from_step;
    tile.to += rows * tile.to_step;
    row += rows;
  };
  if (!unpacking) advance(p.isa->multiply_packed(p.kind, tile, weights, packed, piece.rows));
  const Heights heights(piece.rows - row, p.isa->tile_rows[panels - 1]);
  for (int64_t t = 0; row < piece.rows; ++t) {
    const int64_t rows = heights.of(t);
    piece.ahead->next(piece.blocks, tile);
    unpacking ? unpacking(p.kind, tile, weights, packed, rows)
              : p.isa->multiply(tile, panels, rows);
    advance(rows);
  }
}

/// Columns of a piece: those of a span, or equal parts of it that fit.
int64_t piece_columns(const Problem& p) {
  const int64_t depth = p.block_depth(), columns = std::min(p.span(), p.columns());
  if (p.isa->multiply_unpacking || columns <= kDepth) return std::max(columns, depth);
  const int64_t pieces = (columns + kDepth - 1) / kDepth;
  return (columns / depth + pieces - 1) / pieces * depth;
}

/// Rows [row, row + rows) by one group, whose sums of spans each tile folds by itself.
void fold_group(const Problem& p, const Rows& x, int64_t row, int64_t rows, int64_t group,
                Ahead& ahead) {
  alignas(64) float values[kMostTileSums];
  const int64_t packed = p.weights->width(group), first = p.first_output(group);
  const int64_t block_bytes = packed * p.isa->lanes * 4, depth = p.block_depth();
  const Heights heights(rows, p.isa->tile_rows[p.panels(group) - 1]);
  GemmTile tile{};
  tile.x_step = x.step;
  tile.values = values;
  tile.outputs = p.outputs.n - first;
  for (int64_t t = 0, done = 0; done < rows; ++t) {
    const int64_t height = heights.of(t);
    p.start_values(group, height, values);
    for (int64_t span = 0; span < p.spans(); ++span) {
      const int64_t column = span * p.span(), end = std::min(column + p.span(), p.columns());
      tile.x = x.x + done * x.step + column;
      tile.steps = (end - column) / 4;
      tile.from = p.flips() ? p.start(span, group) : kGemmZeros;
      tile.a = p.span_a + span * p.outputs.n + first;
      if (p.span_a_negative) tile.a_negative = p.span_a_negative + span * p.outputs.n + first;
      ahead.next(p.weights->blocks, tile);
      p.isa->multiply_unpacking(
          p.kind, tile, p.weights->group(group) + column / depth * block_bytes, packed, height);
    }
    p.isa->finish_values(p.outputs, values, packed, row + done, height, first);
    done += height;
  }
}

/// Rows [row, row + rows) by one group.
void multiply_group(const Problem& p, const Rows& x, int64_t row, int64_t rows, int64_t group,
                    Ahead& ahead) {
  if (p.folds() && p.isa->multiply_unpacking) return fold_group(p, x, row, rows, group, ahead);
  static thread_local Scratch weights, sums, values;
  const int64_t depth = p.block_depth(), columns = p.columns(), most = piece_columns(p);
  Piece piece{};
  piece.ahead = &ahead;
  piece.row = row, piece.rows = rows, piece.group = group;
  piece.sums = sums.get<int32_t>(rows * p.width(group));
  if (!p.isa->multiply_unpacking) piece.w = weights.get<int8_t>(most * p.width(group));
  if (p.folds()) {
    piece.values = values.get<float>(rows * p.outputs_of(group));
    p.start_values(group, rows, piece.values);
  }
  int64_t column = 0;
  do {  // also without a column: the sums are then 0
    piece.span = column / p.span();
    const int64_t span_end = std::min((piece.span + 1) * p.span(), columns);
    const int64_t end = std::min(column + most, span_end);
    piece.x = {x.x + column, x.step};
    piece.block = column / depth, piece.blocks = (end - column) / depth;
    piece.first = column % p.span() == 0;
    piece.last = end == span_end;
    piece.finishes = end == columns;
    multiply_piece(p, piece);
    column = end;
  } while (column < columns);
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
Ahead ahead_of(const Problem& p, const Part& part, int64_t row, int64_t rows) {
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
    const Rows x = prepare_rows(p, row, rows);
    Ahead ahead = ahead_of(p, part, row + rows, rows);
    for (int64_t g = part.group; g < part.group_end; ++g) multiply_group(p, x, row, rows, g, ahead);
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

/// Signed rows of whole blocks, and the sums of their spans, [spans][m].
struct FewRows {
  const int8_t* x;
  int64_t step;
  const int32_t* sums;
};

FewRows prepare_few_rows(const Problem& p) {
  static thread_local Scratch memory;
  const int64_t step = (p.columns() + 63) / 64 * 64, spans = p.spans();
  auto* x = memory.get<uint8_t>(p.m * (step + 4 * spans));
  auto* sums = reinterpret_cast<int32_t*>(x + p.m * step);
  p.prepare_rows(0, p.m, p.x_signed ? 0 : 0x80, step, x);
  const auto* signed_x = reinterpret_cast<const int8_t*>(x);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t s = 0; s < spans; ++s) {
      const int64_t end = std::min(p.k, (s + 1) * p.span());
      int32_t sum = 0;
      for (int64_t k = s * p.span(); k < end; ++k) sum += signed_x[i * step + k];
      sums[s * p.m + i] = sum;
    }
  }
  return {signed_x, step, sums};
}

/// Rows [row, row + rows) by one span of a group.
void multiply_few_span(const Problem& p, const FewRows& x, int64_t row, int64_t rows, int64_t group,
                       int64_t span, int32_t* sums) {
  const int64_t column = span * p.span(), end = std::min(column + p.span(), p.columns());
  const int64_t packed = p.weights->width(group), depth = p.block_depth();
  const GemvTile tile{x.x + row * x.step + column,
                      x.step,
                      x.sums + span * p.m + row,
                      p.weights->group(group) + column / depth * packed * p.isa->lanes * 4,
                      (end - column) / depth,
                      p.x_signed ? kGemmZeros : p.start(span, group),
                      sums};
  p.isa->gemv(p.kind, tile, packed, rows);
}

void multiply_few(const Problem& p, const FewRows& x, int64_t group) {
  alignas(64) int32_t sums[4 * kMostPanels * 16];
  alignas(64) float values[4 * kMostPanels * 16];
  const int64_t most = p.isa->gemv_rows, first = p.first_output(group);
  for (int64_t row = 0; row < p.m; row += most) {
    const int64_t rows = std::min(most, p.m - row);
    if (!p.folds()) {
      multiply_few_span(p, x, row, rows, group, 0, sums);
      p.isa->finish(p.outputs, sums, p.panels(group), row, rows, first);
      continue;
    }
    p.start_values(group, rows, values);
    for (int64_t s = 0; s < p.spans(); ++s) {
      multiply_few_span(p, x, row, rows, group, s, sums);
      p.fold(sums, s, group, rows, values);
    }
    p.isa->finish_values(p.outputs, values, p.weights->width(group), row, rows, first);
  }
}

void run_few_rows(const Problem& p) {
  const FewRows x = prepare_few_rows(p);
  const int64_t groups = p.weights->groups();
#pragma omp parallel for schedule(static) if (groups > 1 && !omp_in_parallel())
  for (int64_t g = 0; g < groups; ++g) multiply_few(p, x, g);
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
  const Epilogue& e = args.epilogue;
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
  p.outputs = {args.weight.rows,  args.two_step,
               args.acc.data,     args.acc_negative.data,
               args.y.data,       args.residual.data,
               e.a.data,          e.a_negative.data,
               e.b.data,          e.r,
               float(e.max_code), args.value.data};
  if (p.m == 0 || args.weight.rows == 0) return;
  p.m <= isa.few_rows ? run_few_rows(p) : run_many_rows(p);
}

/// Why the functions of an instruction set cannot do it, or "".
template <class X, int Bits>
std::string refuse(const typename LowbitGemm<X, Bits>::Args& args, const GemmIsa& isa) {
  constexpr int64_t kDepthOf = block_depth<Bits>;
  if (Bits == 4 && args.two_step) return "two steps are for ternary weights";
  if (!isa.quantize || !isa.fold) return args.beyond_codes();
  if (args.group_size == 0) return "";
  if (args.weight.cols == 0) return "groups have no columns";
  const bool whole = args.group_size % kDepthOf == 0 || args.group_size >= args.weight.cols;
  return whole ? ""
               : fmt::format("groups have {} columns, expected a multiple of {}", args.group_size,
                             kDepthOf);
}

/// One way to compute it: `method` ends the names of its kernels; what is `missing` here, and why it
/// is `slow`, or "".
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
                    [&isa, missing = way.missing](const Args& args) {
                      return missing.empty() ? refuse<X, Bits>(args, isa) : missing;
                    },
                    [&isa](const Args& args, Stream) { run<X, Bits>(args, isa); },
                    [&isa](const Args& args) -> std::shared_ptr<const Prepacked> {
                      return prepack<X, Bits>(args, isa);
                    }};
  if (!way.slow.empty()) kernel.yield = [slow = way.slow](const Args&) { return slow; };
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
