#pragma once

#include <cmath>

#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// The epilogue, whose constants are of device memory too. Thread t of the grid takes elements t,
/// t + threads, ...
template <class T>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
requantize_kernel(typename Requantize<T>::Args args) {
  using Code = typename Requantize<T>::Code;
  const Epilogue& e = args.epilogue;
  const int64_t n = args.y.numel(), channels = args.y.size(1);
  const float most = float(e.max_code);
  for (int64_t i = first_element(); i < n; i += element_step()) {
    const int64_t c = i % channels;
    float b = e.b.data[c];
    if (args.acc_negative) b = fmaf(-float(args.acc_negative.data[i]), e.a_negative.data[c], b);
    float t = fmaf(float(args.acc.data[i]), e.a.data[c], b);
    if (args.residual) t = fmaf(float(args.residual.data[i]), e.r, t);
    args.y.data[i] = Code(!(t > 0) ? 0.0f : rintf(t < most ? t : most));
  }
}

template <class T>
void requantize(const typename Requantize<T>::Args& args, simt::Stream stream) {
  simt::launch(requantize_kernel<T>, blocks_for(args.y.numel()), kMapThreads, 0, stream, args);
}

}  // namespace apprentice::kernels::SIMT_NS
