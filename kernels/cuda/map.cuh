#pragma once

#include <algorithm>
#include <type_traits>

#include <apprentice/kernels/map.h>
#include <apprentice/kernels/cuda/neighbours_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

inline constexpr int kMapThreads = 256;

/// Blocks for n elements, at most so many that each thread of a large GPU takes several.
inline unsigned blocks_for(int64_t n) {
  constexpr int64_t kMost = 132 * 16;
  return unsigned(std::clamp<int64_t>((n + kMapThreads - 1) / kMapThreads, 1, kMost));
}

SIMT_FN int64_t first_element() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
SIMT_FN int64_t element_step() { return int64_t(gridDim.x) * blockDim.x; }

/// fn(a[i], b[i]) of every i below n into y; b may be absent, which is 0. Thread t of the grid
/// takes elements t, t + threads, ..., of bf16 two neighbours each, in one access where all lie at
/// a multiple of 4 bytes, as `words` says: 4 bytes a thread either way.
template <class T, class Fn>
SIMT_FN void for_dense(const T* a, const T* b, T* y, int64_t n, bool words, const Fn& fn) {
  if constexpr (std::is_same_v<T, Bf16>) {
    for (int64_t i = 2 * first_element(); i < n; i += 2 * element_step()) {
      const PairAccess pair{words && i + 1 < n, i + 1 < n};
      const uint32_t first = pair.load(a + i), second = b ? pair.load(b + i) : 0;
      const auto u = unpacked(first), v = unpacked(second);
      pair.store(y + i, {fn(u.v[0], v.v[0]), fn(u.v[1], v.v[1])});
    }
  } else {
    for (int64_t i = first_element(); i < n; i += element_step()) y[i] = fn(a[i], b ? b[i] : T(0));
  }
}

/// y = F(x) or grad_y F'(x), by for_dense.
template <class F, class T>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
map_unary_kernel(typename MapUnary<F, T>::Args args, bool words) {
  using C = compute_of<T>;
  for_dense(args.x.data, args.grad_y.data, args.y.data, args.y.numel(), words, [&](C v, C grad_y) {
    return args.grad_y ? grad_y * F::template slope<C>(v, args.a, args.b)
                       : F::template value<C>(v, args.a, args.b);
  });
}

/// y = F(a, b) where neither is broadcast, by for_dense.
template <class F, class T>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
map_dense_kernel(const T* a, const T* b, View1<T> y, bool words) {
  using C = compute_of<T>;
  for_dense(a, b, y.data, y.numel(), words, [](C u, C v) { return F::template value<C>(u, v); });
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
    args.y.data[i] = T(F::template value<compute_of<T>>(args.a[ia], args.b[ib]));
  }
}

template <class T>
unsigned dense_blocks_for(int64_t n) {
  return blocks_for(std::is_same_v<T, Bf16> ? (n + 1) / 2 : n);
}

template <class F, class T>
void map_unary(const typename MapUnary<F, T>::Args& args, simt::Stream stream) {
  const bool words = is_aligned_for<2>(args.x.data) && is_aligned_for<2>(args.grad_y.data) &&
                     is_aligned_for<2>(args.y.data);
  simt::launch(map_unary_kernel<F, T>, dense_blocks_for<T>(args.y.numel()), kMapThreads, 0, stream,
               args, words);
}

template <class F, class T>
void map_binary(const typename MapBinary<F, T>::Args& args, simt::Stream stream) {
  const BroadcastPlan& plan = args.plan;
  const int64_t n = args.y.numel();
  if (plan.rank == 1 && plan.a_steps[0] == 1 && plan.b_steps[0] == 1) {
    const bool words =
        is_aligned_for<2>(args.a) && is_aligned_for<2>(args.b) && is_aligned_for<2>(args.y.data);
    simt::launch(map_dense_kernel<F, T>, dense_blocks_for<T>(n), kMapThreads, 0, stream, args.a,
                 args.b, args.y, words);
  } else {
    simt::launch(map_binary_kernel<F, T>, blocks_for(n), kMapThreads, 0, stream, args);
  }
}

}  // namespace apprentice::kernels::SIMT_NS
