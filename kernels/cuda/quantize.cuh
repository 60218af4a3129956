#pragma once

#include <apprentice/kernels/quantize.h>
#include <apprentice/kernels/cuda/map.cuh>
#include <apprentice/kernels/cuda/reduce_team_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Codes of single numbers: thread t of the grid takes elements t, t + threads, ...
SIMT_KERNEL_BOUNDS(kMapThreads, 4) quantize_uniform_kernel(QuantizeUniform<float>::Args a) {
  const float inv_step = a.inv_step.get();
  for (int64_t i = first_element(); i < a.x.numel(); i += element_step()) {
    const float t = a.x.data[i] * inv_step;
    a.codes.data[i] = !(t > a.min_code) ? a.min_code
                      : t > a.max_code  ? a.max_code
                                        : rintf(t) + 0.0f;
  }
}

SIMT_KERNEL_BOUNDS(kMapThreads, 4)
quantize_uniform_backward_kernel(QuantizeUniformBackward<float>::Args a) {
  const float low = a.low.get(), high = a.high.get(), scale = a.scale.get();
  for (int64_t i = first_element(); i < a.x.numel(); i += element_step()) {
    const float x = a.x.data[i];
    a.grad_x.data[i] = x >= low && x <= high ? a.grad_codes.data[i] * scale : 0.0f;
  }
}

/// One block a row; its sums are folded in a fixed order, in double.
SIMT_KERNEL_BOUNDS(kTeamBlock, 2) abs_statistics_kernel(AbsStatistics<float>::Args a) {
  const int64_t row = blockIdx.x, k = a.x.size(1);
  double sum = 0, top = 0;
  for (int64_t j = threadIdx.x; j < k; j += kTeamBlock) {
    const double v = fabs(double(a.x(row, j)));
    sum += v;
    top = v > top ? v : top;
  }
  sum = BlockTeam::sum(sum);
  top = BlockTeam::all(top, [](double u, double v) { return u > v ? u : v; });
  if (threadIdx.x == 0 && a.mean) a.mean(row) = float(sum / double(k));
  if (threadIdx.x == 0 && a.max) a.max(row) = float(top);
}

SIMT_FN float mean_or_zero(double sum, int n) { return n ? float(sum / double(n)) : 0.0f; }

SIMT_KERNEL_BOUNDS(kTeamBlock, 2) ternarize_kernel(Ternarize<float>::Args a) {
  const int64_t row = blockIdx.x;
  const float threshold = float(a.factor * double(a.threshold(row)));
  double positive = 0, negative = 0;
  int positives = 0, negatives = 0;
  for (int64_t j = threadIdx.x; j < a.w.size(1); j += kTeamBlock) {
    const float w = a.w(row, j);
    const int code = w > threshold ? 1 : w < -threshold ? -1 : 0;
    a.codes(row, j) = float(code);
    if (code > 0) positive += double(w), ++positives;
    if (code < 0) negative -= double(w), ++negatives;
  }
  positive = BlockTeam::sum(positive);
  negative = BlockTeam::sum(negative);
  positives = BlockTeam::all(positives, [](int u, int v) { return u + v; });
  negatives = BlockTeam::all(negatives, [](int u, int v) { return u + v; });
  if (threadIdx.x != 0) return;
  if (a.positive_mean) a.positive_mean(row) = mean_or_zero(positive, positives);
  if (a.negative_mean) a.negative_mean(row) = mean_or_zero(negative, negatives);
  if (a.nonzero_mean)
    a.nonzero_mean(row) = mean_or_zero(positive + negative, positives + negatives);
}

SIMT_KERNEL_BOUNDS(kTeamBlock, 2)
trained_ternary_backward_kernel(TrainedTernaryBackward<float>::Args a) {
  const int64_t row = blockIdx.x;
  const float up = a.positive(row), down = a.negative(row);
  double positive = 0, negative = 0;
  for (int64_t j = threadIdx.x; j < a.codes.size(1); j += kTeamBlock) {
    const float code = a.codes(row, j), grad = a.grad_wq(row, j);
    if (code > 0) positive += double(grad);
    if (code < 0) negative -= double(grad);
    a.grad_w(row, j) = grad * (code > 0 ? up : code < 0 ? down : 1.0f);
  }
  positive = BlockTeam::sum(positive);
  negative = BlockTeam::sum(negative);
  if (threadIdx.x == 0) a.grad_positive(row) = float(positive);
  if (threadIdx.x == 0) a.grad_negative(row) = float(negative);
}

inline void quantize_uniform(const QuantizeUniform<float>::Args& a, simt::Stream stream) {
  simt::launch(quantize_uniform_kernel, blocks_for(a.x.numel()), kMapThreads, 0, stream, a);
}
inline void quantize_uniform_backward(const QuantizeUniformBackward<float>::Args& a,
                                      simt::Stream stream) {
  simt::launch(quantize_uniform_backward_kernel, blocks_for(a.x.numel()), kMapThreads, 0, stream,
               a);
}
inline void abs_statistics(const AbsStatistics<float>::Args& a, simt::Stream stream) {
  if (a.x.size(0))
    simt::launch(abs_statistics_kernel, unsigned(a.x.size(0)), kTeamBlock, 0, stream, a);
}
inline void ternarize(const Ternarize<float>::Args& a, simt::Stream stream) {
  if (a.w.size(0)) simt::launch(ternarize_kernel, unsigned(a.w.size(0)), kTeamBlock, 0, stream, a);
}
inline void trained_ternary_backward(const TrainedTernaryBackward<float>::Args& a,
                                     simt::Stream stream) {
  if (a.codes.size(0))
    simt::launch(trained_ternary_backward_kernel, unsigned(a.codes.size(0)), kTeamBlock, 0, stream,
                 a);
}

}  // namespace apprentice::kernels::SIMT_NS
