#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Weights of a low-bit GEMM as its kernels read them: still 2 or 4 bits a code, in panels of
/// `lanes` outputs. A block of a panel is 4 bytes a lane; with F = 8 / bits fields a byte, field f
/// of byte b of block i holds the code at k = 4 F i + 4 f + b, as an unsigned number
/// code + offset (ternary 0 to 2, 4-bit 0 to 15). Panels lie in groups of `group_panels`:
///   [group][block][panel of the group][lane][byte]
/// The last group may have fewer panels. Codes behind the last row or column are 0.
struct GemmPanels final : Prepacked {
  explicit GemmPanels(size_t size) : memory(size) {}
  int64_t bytes() const override { return int64_t(memory.bytes()); }

  Buffer memory;
  int64_t lanes = 0, panels = 0, blocks = 0;
  int64_t group_panels = 0;
  int64_t span = 0;  ///< columns whose products are summed apart
  /// `factor` times the sum of an output's codes in a span; if two steps, times how many are +1 and
  /// how many -1: [span][panel][P and N if two steps][lane], 0 behind the last output.
  std::vector<int32_t> start;

  const uint8_t* data() const { return static_cast<const uint8_t*>(memory.data()); }
  int64_t groups() const { return (panels + group_panels - 1) / group_panels; }
  /// First byte of a group.
  const uint8_t* group(int64_t g) const { return data() + g * group_panels * blocks * lanes * 4; }
  /// Panels of a group.
  int64_t width(int64_t g) const { return std::min(group_panels, panels - g * group_panels); }
};

/// What is added to a code to make it unsigned.
template <int Bits>
inline constexpr int code_offset = -min_code<Bits>;
/// Columns of a block.
template <int Bits>
inline constexpr int64_t block_depth = 4 * (8 / Bits);

/// How a kernel wants its panels.
struct GemmPanelsLayout {
  int64_t lanes, group_panels;
  bool two_step;
  int32_t factor;  ///< of `start`
  int64_t span;
};
template <int Bits>
std::shared_ptr<const GemmPanels> make_gemm_panels(const PackedCodes<Bits>& weight,
                                                   const GemmPanelsLayout& layout);

}  // namespace apprentice::kernels
