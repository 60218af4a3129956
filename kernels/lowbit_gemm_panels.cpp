#include <algorithm>
#include <cstring>

#include <apprentice/kernels/lowbit_gemm_panels_internal.h>

namespace apprentice::kernels {
namespace {

/// A byte whose fields are all code 0.
template <int Bits>
constexpr int kZeroByte = Bits == 2 ? 0x55 : 0x88;

template <int Bits>
void fill_row(const PackedCodes<Bits>& weight, int64_t row, const GemmPanelsLayout& layout,
              GemmPanels& panels) {
  const int64_t lanes = panels.lanes, panel = row / lanes, group = panel / panels.group_panels;
  const int64_t in_group = panel % panels.group_panels, block_bytes = lanes * 4;
  const int64_t step = panels.width(group) * block_bytes;
  auto* to = const_cast<uint8_t*>(panels.group(group)) + in_group * block_bytes + row % lanes * 4;
  const int64_t parts = layout.two_step ? 2 : 1;
  int32_t* start = panels.start.data() + panel * parts * lanes + row % lanes;
  for (int64_t col = 0; col < weight.cols; ++col) {
    const int code = weight.at(row, col);
    int32_t* sum = start + col / panels.span * panels.panels * parts * lanes;
    sum[0] += layout.factor * (layout.two_step ? code > 0 : code);
    if (layout.two_step) sum[lanes] += layout.factor * (code < 0);
    const int64_t in_block = col % block_depth<Bits>;
    const int shift = int(in_block / 4) * Bits;
    // The field holds code 0.
    const int change = (code_offset<Bits> ^ (code + code_offset<Bits>)) << shift;
    to[col / block_depth<Bits> * step + in_block % 4] ^= uint8_t(change);
  }
}

}  // namespace

template <int Bits>
std::shared_ptr<const GemmPanels> make_gemm_panels(const PackedCodes<Bits>& weight,
                                                   const GemmPanelsLayout& layout) {
  const int64_t lanes = layout.lanes, panels = (weight.rows + lanes - 1) / lanes;
  const int64_t blocks = (weight.cols + block_depth<Bits> - 1) / block_depth<Bits>;
  const size_t size = size_t(panels * blocks * lanes * 4);
  auto made = std::make_shared<GemmPanels>(size);
  made->lanes = lanes;
  made->panels = panels;
  made->blocks = blocks;
  made->group_panels = layout.group_panels;
  made->span = layout.span;
  const int64_t spans = std::max<int64_t>(1, (weight.cols + layout.span - 1) / layout.span);
  made->start.assign(size_t(spans * panels * (layout.two_step ? 2 : 1) * lanes), 0);
  if (size > 0) std::memset(made->memory.data(), kZeroByte<Bits>, size);
  for (int64_t row = 0; row < weight.rows; ++row) fill_row(weight, row, layout, *made);
  return made;
}

template std::shared_ptr<const GemmPanels> make_gemm_panels<2>(const PackedCodes<2>&,
                                                               const GemmPanelsLayout&);
template std::shared_ptr<const GemmPanels> make_gemm_panels<4>(const PackedCodes<4>&,
                                                               const GemmPanelsLayout&);

}  // namespace apprentice::kernels
