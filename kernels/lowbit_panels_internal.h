#pragma once

#include <memory>

#include <apprentice/base/buffer.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Weights in the order of kernels/cpu/lowbit_strip_internal.h: one byte a code, zero where padded.
struct LowbitPanels final : Prepacked {
  explicit LowbitPanels(size_t size) : memory(size) {}
  int64_t bytes() const override { return int64_t(memory.bytes()); }

  Buffer memory;
  int64_t panel_bytes = 0, blocks = 0;

  const int8_t* data() const { return static_cast<const int8_t*>(memory.data()); }
};

/// Panels of `lanes` outputs each; a row of `weight` is `taps` stretches of equal length, each
/// padded to a multiple of 4.
template <int Bits>
std::shared_ptr<const LowbitPanels> make_panels(const PackedCodes<Bits>& weight, int64_t taps,
                                                int64_t lanes, bool two_step);

/// Steps whose products of pairs (u8 x code) fit an s16 sum.
template <int Bits>
inline constexpr int64_t flush_steps = 32767 / (2 * 255 * -min_code<Bits>);

}  // namespace apprentice::kernels
