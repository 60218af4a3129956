#pragma once

#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/cuda/map.cuh>

// A thread a channel; all arithmetic in double, as the reference has it, so the bits are its bits.
namespace apprentice::kernels::SIMT_NS {

SIMT_FN double step_at(View1<const float> step, int64_t j) {
  return step ? double(step.data[step.numel() == 1 ? 0 : j]) : 1.0;
}

SIMT_KERNEL_BOUNDS(kMapThreads, 4) batch_norm_in_steps_kernel(BatchNormInSteps<float>::Args a) {
  for (int64_t j = first_element(); j < a.in_eps.numel(); j += element_step()) {
    const double step = step_at(a.step, j);
    a.in_eps.data[j] = float(a.eps / (step * step));
  }
  if (!a.in_mean) return;
  for (int64_t j = first_element(); j < a.in_mean.numel(); j += element_step()) {
    const double step = step_at(a.step, j);
    a.in_mean.data[j] = float(double(a.mean.data[j]) / step);
    a.in_var.data[j] = float(double(a.var.data[j]) / (step * step));
  }
}

SIMT_KERNEL_BOUNDS(kMapThreads, 4) batch_norm_running_kernel(BatchNormRunning<float>::Args a) {
  const double rest = 1 - a.momentum;
  for (int64_t j = first_element(); j < a.mean.numel(); j += element_step()) {
    const double step = step_at(a.step, j);
    const double mean = double(a.mean.data[j]) * step;
    const double var = double(a.var.data[j]) * a.unbiased * (step * step);
    a.running_mean.data[j] = float(rest * double(a.running_mean.data[j]) + a.momentum * mean);
    a.running_var.data[j] = float(rest * double(a.running_var.data[j]) + a.momentum * var);
  }
}

inline void batch_norm_in_steps(const BatchNormInSteps<float>::Args& a, simt::Stream stream) {
  const int64_t n = a.in_eps.numel() > a.in_mean.numel() ? a.in_eps.numel() : a.in_mean.numel();
  simt::launch(batch_norm_in_steps_kernel, blocks_for(n), kMapThreads, 0, stream, a);
}

inline void batch_norm_running(const BatchNormRunning<float>::Args& a, simt::Stream stream) {
  simt::launch(batch_norm_running_kernel, blocks_for(a.mean.numel()), kMapThreads, 0, stream, a);
}

}  // namespace apprentice::kernels::SIMT_NS
