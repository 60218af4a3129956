#pragma once

#include <apprentice/kernels/bias_residual_relu.h>
#include <apprentice/kernels/cuda/map.cuh>
#include <apprentice/kernels/cuda/neighbours_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

template <class Y>
SIMT_FN float bias_residual_relu_of(const typename BiasResidualRelu<float, Y>::Args& a, float v,
                                    float residual, int64_t j) {
  if (a.bias) v += a.bias.data[j];
  if (a.residual) v += residual;
  return a.relu && v < 0 ? 0.0f : v;
}

/// Thread t of the grid takes N neighbours of a row at N t, N (t + threads), ...: it divides once
/// to find its column, and adds from there on.
template <int N, class Y>
SIMT_KERNEL_BOUNDS(kMapThreads, 4)
bias_residual_relu_kernel(typename BiasResidualRelu<float, Y>::Args a) {
  const int64_t n = a.y.numel(), columns = a.y.size(1), step = N * element_step();
  const int64_t columns_on = step % columns;
  int64_t i = N * first_element(), j = i % columns;
  for (; i < n; i += step, j += columns_on) {
    if (j >= columns) j -= columns;
    if constexpr (N == 1) {
      const float residual = a.residual ? float(a.residual.data[i]) : 0.0f;
      a.y.data[i] = Y(bias_residual_relu_of<Y>(a, float(a.y.data[i]), residual, j));
    } else {
      Neighbours<N> y = load_word<N>(a.y.data + i), residual{};
      if (a.residual) residual = load_word<N>(a.residual.data + i);
      SIMT_UNROLL
      for (int u = 0; u < N; ++u)
        y.v[u] = bias_residual_relu_of<Y>(a, y.v[u], residual.v[u], j + u);
      store_word<N>(a.y.data + i, y);
    }
  }
}

template <class Y>
void bias_residual_relu(const typename BiasResidualRelu<float, Y>::Args& a, simt::Stream stream) {
  const int64_t n = a.y.numel();
  if (n == 0) return;
  const bool wide =
      a.y.size(1) % 4 == 0 && is_aligned_for<4>(a.y.data) && is_aligned_for<4>(a.residual.data);
  if (wide)
    simt::launch(bias_residual_relu_kernel<4, Y>, blocks_for(n / 4), kMapThreads, 0, stream, a);
  else
    simt::launch(bias_residual_relu_kernel<1, Y>, blocks_for(n), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
