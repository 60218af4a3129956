#pragma once

#include <apprentice/kernels/round_to_bf16.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes four neighbours at 4t, 4(t + threads), ..., in one load and one store
/// where x lies at a multiple of 16 bytes and y of 8, as `aligned` says; the last group may be cut.
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
round_to_bf16_kernel(RoundToBf16::Args a, bool aligned) {
  const int64_t n = a.x.numel();
  for (int64_t i = 4 * first_element(); i < n; i += 4 * element_step()) {
    if (aligned && i + 4 <= n) {
      const auto v = *reinterpret_cast<const simt::F32x4*>(a.x.data + i);
      const auto pair = [](float low, float high) {
        return uint32_t(simt::to_bf16(low)) | uint32_t(simt::to_bf16(high)) << 16;
      };
      *reinterpret_cast<simt::U32x2*>(a.y.data + i) = {pair(v.x, v.y), pair(v.z, v.w)};
    } else {
      for (int64_t j = i; j < i + 4 && j < n; ++j) a.y.data[j] = simt::to_bf16(a.x.data[j]);
    }
  }
}

inline void round_to_bf16(const RoundToBf16::Args& a, simt::Stream stream) {
  const bool aligned = reinterpret_cast<uintptr_t>(a.x.data) % sizeof(simt::F32x4) == 0 &&
                       reinterpret_cast<uintptr_t>(a.y.data) % sizeof(simt::U32x2) == 0;
  simt::launch(round_to_bf16_kernel, blocks_for((a.x.numel() + 3) / 4), kMapThreads, 0, stream, a,
               aligned);
}

}  // namespace apprentice::kernels::SIMT_NS
