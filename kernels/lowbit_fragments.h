#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Low-bit weights in the order in which tensor cores take their first operand: of each 8-bit
/// m16n8k32 fragment (PTX ISA, "Matrix fragments for mma.m16n8k32") lane 4g + t holds, in byte b of
/// register r, row g + 8(r & 1) at k = 4t + b + 16(r >> 1); a warp of wgmma holds the same.
///
/// A strip is 32 outputs, two fragments of 16 rows; row g + 8i of fragment f is its output
/// 4g + 2f + i, so that a thread's four sums of one column are those of four adjacent outputs. A
/// slab is 128 columns of k, four fragments one after the other. Behind the last output and column
/// codes are 0. A block is a strip's slab; blocks lie as
///   [tile of 4 strips][slab][strip of the tile]
/// (the last tile may have fewer strips), and a block's words, 16 bytes a lane together, as
///   [fragment of 16 rows][part of the slab][lane][word]
/// A code stands in the top bits of its byte of the operand, which makes that `factor` times the
/// code in s8:
///   2 bits: one word a fragment of 32 columns, one part of four; register r is
///           (word << 2r) & 0xC0C0C0C0 = 64 t
///   4 bits: two words a fragment, two parts of two; register r is word r / 2 & 0xF0F0F0F0, for
///           odd r (word << 4) & 0xF0F0F0F0 = 16 t
struct FragmentLayout {
  static constexpr int64_t strip_rows = 32, slab_depth = 128, tile_strips = 4;
  int64_t rows = 0, cols = 0;

  /// Words of a block of codes of so many bits.
  static constexpr int64_t block_words(int bits) { return strip_rows * slab_depth * bits / 32; }
  constexpr int64_t strips() const { return (rows + strip_rows - 1) / strip_rows; }
  constexpr int64_t slabs() const { return (cols + slab_depth - 1) / slab_depth; }
  /// Strips of the tile that holds a strip.
  constexpr int64_t tile_width(int64_t strip) const {
    return std::min(tile_strips, strips() - strip / tile_strips * tile_strips);
  }
  /// Index of a block.
  constexpr int64_t block(int64_t strip, int64_t slab) const {
    const int64_t first = strip / tile_strips * tile_strips;
    return first * slabs() + slab * tile_width(strip) + (strip - first);
  }
};

/// What the operand is of a code.
template <int Bits>
inline constexpr int fragment_factor = 1 << (8 - Bits);

/// The lowest bit of a code among the words.
struct FragmentBit {
  int64_t word;
  int bit;
};
template <int Bits>
FragmentBit fragment_bit(const FragmentLayout& layout, int64_t row, int64_t col);

/// All words of weights, on the host.
template <int Bits>
std::vector<uint32_t> make_fragments(const PackedCodes<Bits>& weight);

/// Fragments in the memory of a device.
struct LowbitFragments final : Prepacked {
  LowbitFragments(FragmentLayout layout, int64_t size, std::shared_ptr<const uint32_t> words)
      : layout(layout), size(size), words(std::move(words)) {}
  int64_t bytes() const override { return size; }

  FragmentLayout layout;
  int64_t size;
  std::shared_ptr<const uint32_t> words;  ///< device memory, which it keeps
};

}  // namespace apprentice::kernels
