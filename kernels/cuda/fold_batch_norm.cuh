#pragma once

#include <cmath>

#include <apprentice/kernels/fold_batch_norm.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// One block a row of weights, whose thread t takes elements t, t + threads, ...; each works the
/// row's factor out for itself, in double as the reference has it.
SIMT_KERNEL_BOUNDS(kMapThreads, 4) fold_batch_norm_kernel(FoldBatchNorm<float>::Args a) {
  const int64_t o = blockIdx.x, k = a.w.size(1);
  const double g = double(a.gamma(o)) / std::sqrt(double(a.var(o)) + a.eps);
  const double step = a.step ? double(a.step(a.step.numel() == 1 ? 0 : o)) : 1.0;
  const float scale = float(g * step);
  for (int64_t j = threadIdx.x; j < k; j += blockDim.x) a.folded(o, j) = scale * a.w(o, j);
  if (threadIdx.x == 0) a.bias(o) = float(double(a.beta(o)) - double(a.mean(o)) * g);
}

inline void fold_batch_norm(const FoldBatchNorm<float>::Args& a, simt::Stream stream) {
  if (a.w.size(0))
    simt::launch(fold_batch_norm_kernel, unsigned(a.w.size(0)), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
