#pragma once

#include <cstdint>

namespace apprentice::kernels {

// What the instruction sets give to low-bit GEMM (kernels/cpu/lowbit_gemm.cpp): plain memory only,
// all bounds resolved. Weights are those of kernels/lowbit_gemm_panels_internal.h, read in groups
// of up to kMostPanels panels. Of two steps a group has half as many, each of which gives two
// panels of sums: P, over code +1, and N, over code -1. `panels` are those of the sums unless it
// says packed.

inline constexpr int64_t kMostPanels = 4;

/// How weights are unpacked: what a code becomes.
enum class GemmWeights { ternary, two_step, int4 };

/// Sums of some rows of x over one group of outputs, after its weights were unpacked:
///   to[row][j] = from[row][j] + sum_{step, b<4} x[row][4 step + b] * w[step][j][b]
struct GemmTile {
  const uint8_t* x;  ///< s8 of kernels with signed_x
  int64_t x_step;    ///< bytes from row to row
  int8_t* w;         ///< [steps][panels * lanes][4]
  int64_t steps;
  int64_t narrow_steps;  ///< steps whose sums of two products each fit an s16
  const int32_t* from;   ///< [rows][panels * lanes]
  int64_t from_step;     ///< numbers from row to row; 0: the same for all
  int32_t* to;
  int64_t to_step;

  // Of multiply_unpacking only:
  const uint8_t* ahead;  ///< memory to ask for, `ahead_step` bytes a block
  int64_t ahead_step;
  /// Null, or the sums are folded as GemmFold says, and `to` is not written.
  float* values;
  const float *a, *a_negative;
  int64_t outputs;
};

/// Sums of few rows of x over one group of outputs, straight from packed weights:
///   to[row][j] = from[j] + sum_k x[row][k] * code[j][k]    (two steps: over +1, and over -1)
/// x is signed; x_sums are the sums of its rows.
struct GemvTile {
  const int8_t* x;  ///< whole blocks, zero behind the last column
  int64_t x_step;
  const int32_t* x_sums;
  const uint8_t* w;  ///< [blocks][packed panels][lanes][4]
  int64_t blocks;
  const int32_t* from;  ///< [panels][lanes]
  int32_t* to;          ///< [rows][panels][lanes]
  /// Null, or the sums of each span of `span_blocks` blocks are folded as GemmFold says, and `to`
  /// is not written. Steps are numbers of x_sums, of `from` and of `a`, from span to span.
  float* values = nullptr;
  int64_t span_blocks = 0, x_sums_step = 0, from_step = 0, a_step = 0;
  const float *a = nullptr, *a_negative = nullptr;
  int64_t outputs = 0;
};

/// CodeGrid (kernels/quantize_codes.h), its bounds as f32.
struct GemmGrid {
  float inv_step, low, high;
};

/// Sums of a span of columns with a scale of its own, added to what comes of all spans:
///   value[row][j] = fmaf(f32(sum[row][j]), a[j], value[row][j])
/// two steps: fmaf(f32(P), a[j], fmaf(-f32(N), a_negative[j], value))
struct GemmFold {
  const int32_t* sums;  ///< [rows][panels][lanes]
  int64_t packed_panels, rows;
  bool two_step;
  const float *a, *a_negative;  ///< [outputs]
  int64_t outputs;              ///< behind the last a value stays as it is
  float* values;                ///< [rows][packed_panels][lanes]
};

/// What becomes of the sums: pointers as in the Args of LowbitGemm, rows of `n`.
struct GemmOutputs {
  int64_t n;
  bool two_step;
  int32_t *acc, *negative;
  uint8_t* y;
  const uint8_t* residual;
  const float *a, *a_negative, *b;
  float r, max_code;
  float* value = nullptr;
};

/// The functions of one instruction set.
struct GemmIsa {
  int64_t lanes, group_panels;
  int64_t tile_rows[kMostPanels];  ///< the most rows of `multiply`, by panels - 1
  int64_t gemv_rows;               ///< the most rows of `gemv`
  int64_t few_rows;                ///< up to here gemv is the faster way
  /// to[k] = from[k] ^ flip
  void (*copy)(const uint8_t* from, int64_t count, uint8_t flip, uint8_t* to);
  /// `multiply` of the first of `rows` rows, 4 at least, by a group of packed panels, which it
  /// unpacks into tile.w. Gives the number of rows done. tile.steps are whole blocks.
  int64_t (*multiply_packed)(GemmWeights kind, const GemmTile& tile, const uint8_t* packed,
                             int64_t packed_panels, int64_t rows);
  void (*multiply)(const GemmTile& tile, int64_t panels, int64_t rows);
  void (*gemv)(GemmWeights kind, const GemvTile& tile, int64_t packed_panels, int64_t rows);
  /// Stores rows [row, row + rows) of the outputs from `first` on, whose sums are
  /// [rows][panels][lanes].
  void (*finish)(const GemmOutputs& outputs, const int32_t* sums, int64_t panels, int64_t row,
                 int64_t rows, int64_t first);
  /// Tiles, too, take signed x: unsigned x comes as x - 128 to both. Else x of a tile is unsigned,
  /// and signed x comes as x + 128.
  bool signed_x = false;
  /// Null unless unpacking beside the products costs nothing: then it takes the place of the other
  /// two for all columns of a span at once, with no w in its tiles.
  void (*multiply_unpacking)(GemmWeights kind, const GemmTile& tile, const uint8_t* packed,
                             int64_t packed_panels, int64_t rows) = nullptr;
  /// to[k] = clamp(rint(from[k] * inv_step), low, high) ^ flip; NaN gives low.
  void (*quantize)(const float* from, int64_t count, const GemmGrid& grid, uint8_t flip,
                   uint8_t* to);
  void (*fold)(const GemmFold& fold);
  /// Stores rows [row, row + rows) of the outputs from `first` on, whose values are
  /// [rows][packed_panels][lanes], without shortcut.
  void (*finish_values)(const GemmOutputs& outputs, const float* values, int64_t packed_panels,
                        int64_t row, int64_t rows, int64_t first);
};

namespace vnni {
extern const GemmIsa lowbit_gemm;
void lowbit_gemv(GemmWeights kind, const GemvTile& tile, int64_t packed_panels, int64_t rows);
}  // namespace vnni
namespace avxvnni {
/// What it takes over from AVX2, and its own.
GemmIsa lowbit_gemm(const GemmIsa& avx2);
}  // namespace avxvnni
namespace avx2 {
extern const GemmIsa lowbit_gemm;
void lowbit_gemv(GemmWeights kind, const GemvTile& tile, int64_t packed_panels, int64_t rows);
}  // namespace avx2
namespace neon {
extern const GemmIsa lowbit_gemm;
void lowbit_gemv(GemmWeights kind, const GemvTile& tile, int64_t packed_panels, int64_t rows);
}  // namespace neon

}  // namespace apprentice::kernels
