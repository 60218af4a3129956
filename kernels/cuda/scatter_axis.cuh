#pragma once

#include <apprentice/kernels/reduce.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid gathers elements t, t + threads, ... of x, so nothing is written twice.
SIMT_KERNEL_BOUNDS(kMapThreads, 4) scatter_axis_kernel(ScatterAxis<float>::Args a) {
  const int64_t axis = a.x.size(1), inner = a.x.size(2);
  for (int64_t e = first_element(); e < a.x.numel(); e += element_step()) {
    const int64_t i = e % inner, k = e / inner % axis, o = e / (inner * axis);
    a.x.data[e] = a.at(o, i) == k ? a.y(o, i) : 0.0f;
  }
}

inline void scatter_axis(const ScatterAxis<float>::Args& a, simt::Stream stream) {
  simt::launch(scatter_axis_kernel, blocks_for(a.x.numel()), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
