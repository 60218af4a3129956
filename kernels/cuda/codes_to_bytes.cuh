#pragma once

#include <apprentice/kernels/codes_to_bytes.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes elements t, t + threads, ...
SIMT_KERNEL_BOUNDS(kMapThreads, 4) codes_to_bytes_kernel(CodesToBytes::Args a) {
  for (int64_t i = first_element(); i < a.x.numel(); i += element_step())
    a.y.data[i] = uint8_t(a.x.data[i]);
}

inline void codes_to_bytes(const CodesToBytes::Args& a, simt::Stream stream) {
  simt::launch(codes_to_bytes_kernel, blocks_for(a.x.numel()), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
