#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Ternary weights of which whole tiles, 4 columns of 16 outputs, are zero: the others alone, a
/// byte a code. Codes behind the last row or column are 0.
struct GemmTiles final : Prepacked {
  static constexpr int64_t lanes = 16, depth = 4, bytes_each = lanes * depth;
  /// Tiles of a stretch of columns.
  static constexpr int64_t stretch = 128;

  explicit GemmTiles(size_t size) : memory(size) {}
  int64_t bytes() const override {
    return int64_t(memory.bytes()) + int64_t(column.size() * sizeof(column[0]));
  }
  const int8_t* tile(int64_t t) const {
    return static_cast<const int8_t*>(memory.data()) + t * bytes_each;
  }

  int64_t panels = 0, stretches = 0;
  Buffer memory;                 ///< [tile][lane][column]
  std::vector<uint32_t> column;  ///< of a tile: its first column / 4; ascending in a panel
  std::vector<int64_t> first;    ///< tile of [panel of 16 outputs][stretch], then their number
  std::vector<int32_t> start;    ///< `factor` times the sum of an output's codes, [panel][lane]
  double density = 0;            ///< tiles / all that there would be
};

/// The tiles of `weight` that are not zero.
int64_t count_tiles(const PackedCodes<2>& weight);
/// All tiles of it, zero or not.
int64_t all_tiles(const PackedCodes<2>& weight);
std::shared_ptr<const GemmTiles> make_gemm_tiles(const PackedCodes<2>& weight, int32_t factor);

}  // namespace apprentice::kernels
