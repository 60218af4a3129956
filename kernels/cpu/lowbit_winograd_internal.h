#pragma once

#include <apprentice/kernels/cpu/lowbit_outputs_internal.h>

namespace apprentice::kernels {

/// Exact integer Winograd convolution (Lavin and Gray 2016, arXiv:1509.09308, section 4.1): 3x3
/// taps, stride 1, dilation 1. A tile is Rows x 2 output pixels:
///   Rows = 2: F(2x2,3x3). v = B^T d B of the 4x4 input codes d, u = (2G) g (2G)^T of the weight
///   codes
///             g, 16 positions; the sums are 4 times the convolution.
///   Rows = 1: F(2,3) along a row. v = B^T d of 4 input codes, u = (2G) g of the 3 codes of a
///   weight
///             row, 4 positions of 3 rows each; the sums are twice the convolution.
/// The output is A^T m A or A^T m of the sums m of the positions, with A^T m = [m0 + m1 + m2,
/// m1 - m2 - m3]. One A^T is taken on the way: a phase sums up m1 and m2, of which s = m1 + m2 and
/// d = m1 - m2 are made in registers, to which a second phase adds m0 and -m3 (u3 is stored
/// negated). With Rows = 2 there are 4 such columns of positions, with Rows = 1 the one row. v is
/// held in u8: where it can be negative 128 is added, which the start values take off. So codes of
/// x up to 63 (Rows = 2) or 127 (Rows = 1) fit; u is at most 72 or 24.
template <int Rows>
struct WinogradTile {
  static_assert(Rows == 1 || Rows == 2);
  static constexpr int positions = Rows == 2 ? 16 : 4;
  static constexpr int columns = Rows == 2 ? 4 : 1;
  static constexpr int runs = Rows == 2 ? 1 : 3;  ///< rows of taps in the sum of a position
  static constexpr int factor = Rows == 2 ? 4 : 2;
  static constexpr int max_x = Rows == 2 ? 63 : 127;
  static constexpr int plain_position = Rows == 2 ? 5 : 1;  ///< the one where v is never negative
};

/// What one thread computes in one call: outputs [16 * first_block, 16 * end_block) of neighbouring
/// tiles, in raster order over (image, tile row, tile column); with Rows = 1 whole rows of one
/// image.
struct LowbitWinograd : LowbitOutputs {
  const uint8_t* x;  ///< [images, height, width, in]
  int64_t height, width, in, padded_in;
  int64_t pad_rows, pad_cols;
  int64_t tile_rows, tile_cols;  ///< of an image
  int64_t first_tile, end_tile;
  int64_t sets;  ///< of nearly equal size, kWinogradTiles at most, that the tiles are cut into
  int64_t first_block, end_block;

  const int8_t* panels;  ///< [block][P, N if two_step][column][phase][run][padded_in / 4][2][16][4]
  int64_t panel_bytes;   ///< of one block
  const int32_t* start;  ///< [block][P, N if two_step][column][2][16]

  uint8_t* v;            ///< Rows = 2: [set of tiles][position][tile of the set][padded_in];
                         ///< Rows = 1: [position][row and two more][tile column][padded_in]
  int64_t plane_bytes;   ///< from a position to the next
  int32_t* sums;         ///< kWinogradSums of them
  const uint8_t* zeros;  ///< as many as a row of x has bytes
};

/// Tiles that are multiplied at once, a set.
inline constexpr int64_t kWinogradTiles = 7;
/// s32 of the sums of a set: [column][2][tile][P, N or two blocks][16].
inline constexpr int64_t kWinogradStep = kWinogradTiles * 2 * 16;
inline constexpr int64_t kWinogradSums = 4 * 2 * kWinogradStep;

namespace vnni {
template <int Rows>
void lowbit_winograd(const LowbitWinograd& w);
/// v of `tiles` tiles from `tile` on; writes up to 64 bytes behind a position's last.
template <int Rows>
void winograd_input(const LowbitWinograd& w, int64_t tile, int64_t tiles, uint8_t* v);
/// Outputs of one tile: 16 channels from 16 * block on, or 32 if `panels` is 2 and not two_step.
/// `sums` are those of the tile, [column][2][P, N or two blocks][16], a column's two kWinogradStep
/// apart.
template <int Rows>
void winograd_output(const LowbitWinograd& w, int64_t block, int64_t panels,
                     const OutputPixel& first, const int32_t* sums);
}  // namespace vnni

}  // namespace apprentice::kernels
