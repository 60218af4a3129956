#pragma once

#include <algorithm>

#include <apprentice/kernels/map.h>
#include <apprentice/kernels/simt/simt.h>

namespace apprentice::kernels::SIMT_NS {

inline constexpr int kMapThreads = 256;

/// Blocks for n elements, at most so many that each thread of a large GPU takes several.
inline unsigned blocks_for(int64_t n) {
  constexpr int64_t kMost = 132 * 16;
  return unsigned(std::clamp<int64_t>((n + kMapThreads - 1) / kMapThreads, 1, kMost));
}

SIMT_FN int64_t first_element() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
SIMT_FN int64_t element_step() { return int64_t(gridDim.x) * blockDim.x; }

/// y = F(x) or grad_y F'(x). Thread t of the grid takes elements t, t + threads, ...
template <class F, class T>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
map_unary_kernel(typename MapUnary<F, T>::Args args) {
  const int64_t n = args.y.numel();
  for (int64_t i = first_element(); i < n; i += element_step()) {
    const T v = args.x.data[i];
    args.y.data[i] = args.grad_y ? args.grad_y.data[i] * F::template slope<T>(v, args.a, args.b)
                                 : F::template value<T>(v, args.a, args.b);
  }
}

/// y = F(a, b): thread t takes elements t, t + threads, ...; the plan's axes are undone from the
/// last, which is one division an axis beyond the first.
template <class F, class T>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
map_binary_kernel(typename MapBinary<F, T>::Args args) {
  const int64_t n = args.y.numel();
  const BroadcastPlan& plan = args.plan;
  for (int64_t i = first_element(); i < n; i += element_step()) {
    int64_t rest = i, ia = 0, ib = 0;
    for (int axis = plan.rank - 1; axis > 0; --axis) {
      const int64_t at = rest % plan.sizes[size_t(axis)];
      rest /= plan.sizes[size_t(axis)];
      ia += at * plan.a_steps[size_t(axis)];
      ib += at * plan.b_steps[size_t(axis)];
    }
    ia += rest * plan.a_steps[0];
    ib += rest * plan.b_steps[0];
    args.y.data[i] = F::template value<T>(args.a[ia], args.b[ib]);
  }
}

template <class F, class T>
void map_unary(const typename MapUnary<F, T>::Args& args, simt::Stream stream) {
  simt::launch(map_unary_kernel<F, T>, blocks_for(args.y.numel()), kMapThreads, 0, stream, args);
}

template <class F, class T>
void map_binary(const typename MapBinary<F, T>::Args& args, simt::Stream stream) {
  simt::launch(map_binary_kernel<F, T>, blocks_for(args.y.numel()), kMapThreads, 0, stream, args);
}

}  // namespace apprentice::kernels::SIMT_NS
