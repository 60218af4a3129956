#include <cstring>
#include <vector>

#include <apprentice/kernels/lowbit_panels_internal.h>

namespace apprentice::kernels {
namespace {

/// What panel `part` (0: P or the only one, 1: N) holds for code t.
int8_t panel_code(int t, int part, bool two_step) {
  if (!two_step) return int8_t(t);
  return part == 0 ? t > 0 : t < 0;
}

}  // namespace

template <int Bits>
std::shared_ptr<const LowbitPanels> make_panels(const PackedCodes<Bits>& weight, int64_t taps,
                                                int64_t lanes, bool two_step) {
  const int64_t in = weight.cols / taps, padded_in = (in + 3) / 4 * 4;
  const int64_t blocks = (weight.rows + lanes - 1) / lanes, parts = two_step ? 2 : 1;
  const int64_t panel_bytes = taps * padded_in * lanes;
  auto panels = std::make_shared<LowbitPanels>(size_t(blocks * parts * panel_bytes));
  panels->panel_bytes = panel_bytes;
  panels->blocks = blocks;
  auto* bytes = static_cast<int8_t*>(panels->memory.data());
  std::memset(bytes, 0, size_t(blocks * parts * panel_bytes));
  std::vector<int8_t> row_codes(size_t(weight.cols));
  for (int64_t row = 0; row < weight.rows; ++row) {
    const int64_t block = row / lanes, lane = row % lanes;
    unpack_codes(PackedCodes<Bits>{weight.data + row * weight.row_bytes(), 1, weight.cols},
                 View2<int8_t>{row_codes.data(), {1, weight.cols}});
    for (int64_t part = 0; part < parts; ++part) {
      int8_t* panel = bytes + (block * parts + part) * panel_bytes + lane * 4;
      for (int64_t tap = 0; tap < taps; ++tap, panel += padded_in * lanes) {
        const int8_t* code = row_codes.data() + tap * in;
        for (int64_t i = 0; i < in; ++i)
          panel[i / 4 * lanes * 4 + i % 4] = panel_code(code[i], int(part), two_step);
      }
    }
  }
  return panels;
}

template std::shared_ptr<const LowbitPanels> make_panels<2>(const PackedCodes<2>&, int64_t, int64_t,
                                                            bool);
template std::shared_ptr<const LowbitPanels> make_panels<4>(const PackedCodes<4>&, int64_t, int64_t,
                                                            bool);

}  // namespace apprentice::kernels
