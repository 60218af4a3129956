#pragma once

#include <apprentice/kernels/cpu/lowbit_gemm_problem_internal.h>

namespace apprentice::kernels {

/// Columns that are unpacked at a time, where that is done for many tiles.
inline constexpr int64_t kGemmDepth = 512;
/// The most sums of a tile.
inline constexpr int64_t kGemmMostTileSums = 6 * kMostPanels * 16;

/// Rows of x as the tiles read them.
struct GemmRows {
  const uint8_t* x;
  int64_t step;
};

/// The rows of x that come next, asked for a little by each tile that unpacks.
struct GemmAhead {
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
struct GemmHeights {
  GemmHeights(int64_t rows, int64_t most)
      : tiles(std::max<int64_t>(1, (rows + most - 1) / most)), rows(rows) {}
  int64_t of(int64_t tile) const { return rows / tiles + (tile < rows % tiles); }
  int64_t tiles, rows;
};

/// Some columns of a block of rows by those of a group of outputs.
struct GemmPiece {
  GemmRows x;         ///< its columns of the first row
  int64_t row, rows;  ///< of the whole x
  int64_t group, block, blocks, span;
  bool first, last;  ///< of the span
  bool finishes;     ///< last of all
  int32_t* sums;     ///< of all rows, from piece to piece
  int8_t* w;         ///< for the unpacked weights
  float* values;     ///< of all rows, from span to span
  GemmAhead* ahead;
};

/// Can the last sums go where they are wanted, with nothing to finish?
inline bool is_direct(const GemmProblem& p, const GemmPiece& piece) {
  const GemmOutputs& o = p.outputs;
  return piece.finishes && !o.y && !o.two_step && !p.folds() &&
         p.first_output(piece.group) + p.width(piece.group) <= o.n;
}

/// The tile of the first row.
inline GemmTile first_tile(const GemmProblem& p, const GemmPiece& piece) {
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
inline void finish_rows(const GemmProblem& p, const GemmPiece& piece, const int32_t* sums,
                        int64_t row, int64_t rows) {
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
inline void multiply_piece(const GemmProblem& p, const GemmPiece& piece) {
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
  const GemmHeights heights(piece.rows - row, p.isa->tile_rows[panels - 1]);
  for (int64_t t = 0; row < piece.rows; ++t) {
    const int64_t rows = heights.of(t);
    piece.ahead->next(piece.blocks, tile);
    unpacking ? unpacking(p.kind, tile, weights, packed, rows)
              : p.isa->multiply(tile, panels, rows);
    advance(rows);
  }
}

/// Columns of a piece: those of a span, or equal parts of it that fit.
inline int64_t piece_columns(const GemmProblem& p) {
  const int64_t depth = p.block_depth(), columns = std::min(p.span(), p.columns());
  if (p.isa->multiply_unpacking || columns <= kGemmDepth) return std::max(columns, depth);
  const int64_t pieces = (columns + kGemmDepth - 1) / kGemmDepth;
  return (columns / depth + pieces - 1) / pieces * depth;
}

/// Rows [row, row + rows) by one group, whose sums of spans each tile folds by itself.
inline void fold_group(const GemmProblem& p, const GemmRows& x, int64_t row, int64_t rows,
                       int64_t group, GemmAhead& ahead) {
  alignas(64) float values[kGemmMostTileSums];
  const int64_t packed = p.weights->width(group), first = p.first_output(group);
  const int64_t block_bytes = packed * p.isa->lanes * 4, depth = p.block_depth();
  const GemmHeights heights(rows, p.isa->tile_rows[p.panels(group) - 1]);
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
inline void multiply_gemm_group(const GemmProblem& p, const GemmRows& x, int64_t row, int64_t rows,
                                int64_t group, GemmAhead& ahead) {
  if (p.folds() && p.isa->multiply_unpacking) return fold_group(p, x, row, rows, group, ahead);
  static thread_local GemmScratch weights, sums, values;
  const int64_t depth = p.block_depth(), columns = p.columns(), most = piece_columns(p);
  GemmPiece piece{};
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

}  // namespace apprentice::kernels
