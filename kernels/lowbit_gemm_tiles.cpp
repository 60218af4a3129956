#include <algorithm>
#include <cstring>

#include <apprentice/kernels/lowbit_gemm_tiles_internal.h>

namespace apprentice::kernels {
namespace {

static_assert(GemmTiles::depth * 2 == 8, "a tile takes one byte of a row of packed codes");

int64_t panels_of(const PackedCodes<2>& weight) {
  return (weight.rows + GemmTiles::lanes - 1) / GemmTiles::lanes;
}

/// ORs the bytes of a panel's rows: any[c] is not 0 where tile c of the panel is not zero.
void mark_tiles(const PackedCodes<2>& weight, int64_t panel, std::vector<uint8_t>& any) {
  any.assign(size_t(weight.row_bytes()), 0);
  const int64_t end = std::min(weight.rows, (panel + 1) * GemmTiles::lanes);
  for (int64_t row = panel * GemmTiles::lanes; row < end; ++row) {
    const uint8_t* bytes = weight.data + row * weight.row_bytes();
    for (size_t c = 0; c < any.size(); ++c) any[c] |= bytes[c];
  }
}

int64_t count(const std::vector<uint8_t>& any) {
  return std::count_if(any.begin(), any.end(), [](uint8_t byte) { return byte != 0; });
}

/// Expands the tiles of a panel behind those that are there.
void fill_panel(const PackedCodes<2>& weight, int64_t panel, const std::vector<uint8_t>& any,
                int32_t factor, GemmTiles& tiles) {
  auto* to = const_cast<int8_t*>(tiles.tile(int64_t(tiles.column.size())));
  tiles.first.push_back(int64_t(tiles.column.size()));
  for (size_t c = 0; c < any.size(); ++c) {
    if (c % GemmTiles::stretch == 0 && c > 0) tiles.first.push_back(int64_t(tiles.column.size()));
    if (any[c] == 0) continue;
    for (int64_t lane = 0; lane < GemmTiles::lanes; ++lane, to += GemmTiles::depth) {
      const int64_t row = panel * GemmTiles::lanes + lane;
      for (int64_t k = 0; k < GemmTiles::depth; ++k) {
        const int64_t col = int64_t(c) * GemmTiles::depth + k;
        const bool there = row < weight.rows && col < weight.cols;
        to[k] = int8_t(there ? weight.at(row, col) : 0);
        tiles.start[size_t(row)] += factor * to[k];
      }
    }
    tiles.column.push_back(uint32_t(c));
  }
}

}  // namespace

int64_t all_tiles(const PackedCodes<2>& weight) { return panels_of(weight) * weight.row_bytes(); }

int64_t count_tiles(const PackedCodes<2>& weight) {
  std::vector<uint8_t> any;
  int64_t tiles = 0;
  for (int64_t panel = 0; panel < panels_of(weight); ++panel) {
    mark_tiles(weight, panel, any);
    tiles += count(any);
  }
  return tiles;
}

std::shared_ptr<const GemmTiles> make_gemm_tiles(const PackedCodes<2>& weight, int32_t factor) {
  const int64_t count = count_tiles(weight), panels = panels_of(weight);
  auto tiles = std::make_shared<GemmTiles>(size_t(count * GemmTiles::bytes_each));
  tiles->column.reserve(size_t(count));
  tiles->start.assign(size_t(panels * GemmTiles::lanes), 0);
  tiles->density = double(count) / double(std::max<int64_t>(all_tiles(weight), 1));
  tiles->panels = panels;
  const int64_t stretches = (weight.row_bytes() + GemmTiles::stretch - 1) / GemmTiles::stretch;
  tiles->stretches = std::max<int64_t>(1, stretches);
  std::vector<uint8_t> any;
  for (int64_t panel = 0; panel < panels; ++panel) {
    mark_tiles(weight, panel, any);
    fill_panel(weight, panel, any, factor, *tiles);
  }
  tiles->first.push_back(count);
  return tiles;
}

}  // namespace apprentice::kernels
