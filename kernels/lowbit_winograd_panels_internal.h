#pragma once

#include <memory>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Transformed 3x3 weights u in the order of kernels/cpu/lowbit_winograd_internal.h, s8.
struct WinogradPanels final : Prepacked {
  explicit WinogradPanels(size_t size) : memory(size) {}
  int64_t bytes() const override { return int64_t(memory.bytes() + start.size() * 4); }

  Buffer memory;
  int64_t panel_bytes = 0, blocks = 0;
  std::vector<int32_t> start;  ///< takes off the 128s of v

  const int8_t* data() const { return static_cast<const int8_t*>(memory.data()); }
};

/// Panels of 16 outputs for tiles of `Rows` x 2; u is s8, at most 9 (Rows = 2) or 3 times a code.
template <int Bits, int Rows>
std::shared_ptr<const WinogradPanels> make_winograd_panels(const PackedCodes<Bits>& weight,
                                                           bool two_step);

}  // namespace apprentice::kernels
