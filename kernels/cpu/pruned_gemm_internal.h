#pragma once

#include <cstdint>

namespace apprentice::kernels {

/// Rows of x that are multiplied at once: three vectors of 16.
inline constexpr int64_t kPrunedVector = 16, kPrunedRows = 3 * kPrunedVector;

/// Sums of up to kPrunedRows rows of x over a panel of 16 outputs, of whose weights some tiles of 4
/// columns are listed and all others are zero. Plain memory only.
///   sums[j][row] += sum_{t, b<4} x[column[t]][row][b] * w[t][j][b]
struct PrunedSums {
  const uint8_t* x;        ///< [columns / 4][kPrunedRows][4]
  const int8_t* w;         ///< [count][16][4]
  const uint32_t* column;  ///< [count]
  int64_t count;
  const int32_t* start;  ///< [16], what takes the place of sums at first; or null
  int32_t* sums;         ///< [16][kPrunedRows]
};

namespace vnni {
/// Of `rows` rows; sums of those behind, up to the next multiple of 16, are written, too.
void pruned_multiply(const PrunedSums& sums, int64_t rows);
/// Puts `rows` rows of k bytes, each byte xor `flip`, into the order of PrunedSums::x; what is
/// behind the last row or column is 0.
void pruned_arrange(const uint8_t* x, int64_t k, int64_t rows, uint8_t flip, uint8_t* to);
/// to[row][j] = sums[j][row] of up to 16 rows; `to_step` numbers from row to row.
void pruned_transpose(const int32_t* sums, int64_t rows, int32_t* to, int64_t to_step);
}  // namespace vnni

}  // namespace apprentice::kernels
