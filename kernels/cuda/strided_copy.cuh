#pragma once

#include <apprentice/kernels/strided_copy.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes elements t, t + threads, ... in the order of the index, so writes run
/// along y's last axis where that is dense.
template <class Element>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
strided_copy_kernel(StridedCopy::Args a) {
  const int64_t n = a.numel();
  for (int64_t i = first_element(); i < n; i += element_step()) {
    int64_t rest = i, from = 0, to = 0;
    for (int axis = a.rank - 1; axis >= 0; --axis) {
      const int64_t at = rest % a.sizes[size_t(axis)];
      rest /= a.sizes[size_t(axis)];
      from += at * a.x_steps[size_t(axis)];
      to += at * a.y_steps[size_t(axis)];
    }
    static_cast<Element*>(a.y)[to] = static_cast<const Element*>(a.x)[from];
  }
}

inline void strided_copy(const StridedCopy::Args& a, simt::Stream stream) {
  with_element(a.element_bytes, [&]<class Element>() {
    simt::launch(strided_copy_kernel<Element>, blocks_for(a.numel()), kMapThreads, 0, stream, a);
  });
}

}  // namespace apprentice::kernels::SIMT_NS
