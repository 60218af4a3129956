#pragma once

#include <cstdint>

namespace apprentice::kernels {

/// Ternary GEMM by addressed tables: kTableRows rows of x by some outputs. Plain memory only.
/// 4 ternary codes t0 to t3 have the number sum_i 3^i (t_i + 1), 0 to 80; a block is
/// kTableGroups times 4 columns.
inline constexpr int64_t kTableRows = 32, kTableGroups = 6, kTableEntries = 81;
inline constexpr int64_t kTableDepth = 4 * kTableGroups;
/// Outputs come in panels.
inline constexpr int64_t kTablePanel = 8;
/// Blocks whose sums of signed bytes fit an s16: 10 * 24 * 128 = 30720.
inline constexpr int64_t kTableBlocks = 10;

struct TableGemm {
  const int8_t* x;  ///< [blocks][kTableDepth][kTableRows]
  const uint8_t*
      codes;  ///< the numbers, [blocks][all outputs][kTableGroups], from the first output
  int64_t blocks;
  int64_t block_bytes;   ///< of codes
  int64_t outputs;       ///< whole panels
  const int32_t* start;  ///< where each output's sums start
  int16_t* table;        ///< memory for [kTableGroups][kTableEntries][kTableRows]
  int16_t* narrow;       ///< memory for [outputs][kTableRows]
  int32_t* sums;         ///< [outputs][kTableRows]
};

namespace avx2 {
/// sums[j][row] = start[j] + sum_k x[k][row] * code[j][k]
void table_gemm(const TableGemm& t);
/// Puts `rows` rows of k bytes, each byte xor `flip`, into the order of TableGemm::x; what is
/// behind the last row or column is 0.
void table_arrange(const uint8_t* x, int64_t k, int64_t rows, uint8_t flip, int64_t blocks,
                   int8_t* to);
/// Sums of one panel for up to 8 rows, by rows: to[row][j] = sums[j][row]; `to_step` numbers from
/// row to row.
void table_transpose(const int32_t* sums, int64_t rows, int32_t* to, int64_t to_step);
}  // namespace avx2

}  // namespace apprentice::kernels
