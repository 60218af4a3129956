#pragma once

#include <apprentice/kernels/convert.h>
#include <apprentice/kernels/cuda/map.cuh>
#include <apprentice/kernels/cuda/neighbours_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes four neighbours at 4t, 4(t + threads), ..., in one load and one store
/// where both views are aligned for that, as `aligned` says; the last four may be cut.
template <class From, class To>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
convert_kernel(typename Convert<From, To>::Args a, bool aligned) {
  const int64_t n = a.x.numel();
  for (int64_t i = 4 * first_element(); i < n; i += 4 * element_step()) {
    if (aligned && i + 4 <= n) {
      store_word<4>(a.y.data + i, load_word<4>(a.x.data + i));
    } else {
      for (int64_t j = i; j < i + 4 && j < n; ++j) a.y.data[j] = To(float(a.x.data[j]));
    }
  }
}

template <class From, class To>
void convert(const typename Convert<From, To>::Args& a, simt::Stream stream) {
  const bool aligned = is_aligned_for<4>(a.x.data) && is_aligned_for<4>(a.y.data);
  simt::launch(convert_kernel<From, To>, blocks_for((a.x.numel() + 3) / 4), kMapThreads, 0, stream,
               a, aligned);
}

}  // namespace apprentice::kernels::SIMT_NS
