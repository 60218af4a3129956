#pragma once

#include <apprentice/kernels/fill.h>
#include <apprentice/kernels/strided_copy.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid writes elements t, t + threads, ...
template <class Element>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
fill_kernel(Element* y, int64_t count, Element value) {
  for (int64_t i = first_element(); i < count; i += element_step()) y[i] = value;
}

inline void fill(const Fill::Args& a, simt::Stream stream) {
  with_element(a.element_bytes, [&]<class Element>() {
    simt::launch(fill_kernel<Element>, blocks_for(a.count), kMapThreads, 0, stream,
                 static_cast<Element*>(a.y), a.count, Element(a.bits));
  });
}

}  // namespace apprentice::kernels::SIMT_NS
