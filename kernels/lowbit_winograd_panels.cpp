#include <apprentice/kernels/lowbit_winograd_panels_internal.h>

#include <cstring>

#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kLanes = 16;

/// (2G) g for three numbers that lie `step` apart: 2 g0, g0 + g1 + g2, g0 - g1 + g2, 2 g2.
void transform(const int* g, int step, int* u, int u_step) {
  const int g0 = g[0], g1 = g[step], g2 = g[2 * step];
  u[0] = 2 * g0;
  u[u_step] = g0 + g1 + g2;
  u[2 * u_step] = g0 - g1 + g2;
  u[3 * u_step] = 2 * g2;
}

/// u of the 3x3 codes g, [position][run].
template <int Rows>
void transform_weight(const int (&g)[9], int (&u)[16]) {
  if constexpr (Rows == 1) {
    for (int r = 0; r < 3; ++r) transform(g + 3 * r, 1, u + r, 3);
  } else {
    int columns[12];  // [row of u][column of g]
    for (int s = 0; s < 3; ++s) transform(g + s, 3, columns + s, 3);
    for (int i = 0; i < 4; ++i) transform(columns + 3 * i, 1, u + 4 * i, 1);
  }
}

/// Puts u of a position and run to its place in a panel, of which `to` is the first, and takes off
/// what 128 more in v adds to the sums m: c = -128 u at this position. It is shared out over the
/// starts of m1 and m2, so that s = m1 + m2 and d = m1 - m2 have it all.
template <int Rows>
void add_weight(int position, int run, int u, int64_t run_bytes, int8_t* to, int32_t* start) {
  using Tile = WinogradTile<Rows>;
  const int i = position / Tile::columns, column = position % Tile::columns;
  const int phase = i == 1 || i == 2 ? 0 : 1, second = i >= 2 ? 1 : 0;
  to += ((column * 2 + phase) * Tile::runs + run) * run_bytes + second * kLanes * 4;
  *to = int8_t(i == 3 ? -u : u);
  if (position == Tile::plain_position) return;
  start += column * 2 * kLanes;
  const int32_t half = -64 * u;
  if (i == 0) start[0] += half, start[kLanes] += half;
  if (i == 1) start[0] += 2 * half;
  if (i == 2) start[kLanes] += 2 * half;
  if (i == 3) start[0] -= half, start[kLanes] += half;
}

/// What panel `part` (0: P or the only one, 1: N) holds for code t.
int part_code(int t, int part, bool two_step) {
  if (!two_step) return t;
  return part == 0 ? t > 0 : t < 0;
}

}  // namespace

template <int Bits, int Rows>
std::shared_ptr<const WinogradPanels> make_winograd_panels(const PackedCodes<Bits>& weight,
                                                           bool two_step) {
  using Tile = WinogradTile<Rows>;
  const int64_t in = weight.cols / 9, padded_in = (in + 3) / 4 * 4;
  const int64_t blocks = (weight.rows + kLanes - 1) / kLanes, parts = two_step ? 2 : 1;
  const int64_t run_bytes = padded_in * kLanes * 2;
  const int64_t panel_bytes = Tile::positions / 2 * Tile::runs * run_bytes;
  auto panels = std::make_shared<WinogradPanels>(size_t(blocks * parts * panel_bytes));
  panels->panel_bytes = panel_bytes;
  panels->blocks = blocks;
  panels->start.assign(size_t(blocks * parts * Tile::columns * 2 * kLanes), 0);
  auto* bytes = static_cast<int8_t*>(panels->memory.data());
  std::memset(bytes, 0, size_t(blocks * parts * panel_bytes));
  for (int64_t row = 0; row < weight.rows; ++row) {
    for (int64_t c = 0; c < in; ++c) {
      for (int64_t part = 0; part < parts; ++part) {
        const int64_t panel = row / kLanes * parts + part, lane = row % kLanes;
        int g[9], u[16];
        for (int tap = 0; tap < 9; ++tap) {
          g[tap] = part_code(weight.at(row, tap * in + c), int(part), two_step);
        }
        transform_weight<Rows>(g, u);
        int8_t* to = bytes + panel * panel_bytes + (c / 4 * 2 * kLanes + lane) * 4 + c % 4;
        int32_t* start = panels->start.data() + panel * Tile::columns * 2 * kLanes + lane;
        for (int k = 0; k < Tile::positions * Tile::runs; ++k) {
          add_weight<Rows>(k / Tile::runs, k % Tile::runs, u[k], run_bytes, to, start);
        }
      }
    }
  }
  return panels;
}

template std::shared_ptr<const WinogradPanels> make_winograd_panels<2, 1>(const PackedCodes<2>&,
                                                                          bool);
template std::shared_ptr<const WinogradPanels> make_winograd_panels<2, 2>(const PackedCodes<2>&,
                                                                          bool);
template std::shared_ptr<const WinogradPanels> make_winograd_panels<4, 1>(const PackedCodes<4>&,
                                                                          bool);
template std::shared_ptr<const WinogradPanels> make_winograd_panels<4, 2>(const PackedCodes<4>&,
                                                                          bool);

}  // namespace apprentice::kernels
