#pragma once

#include <cmath>

#include <apprentice/kernels/optimizer.h>
#include <apprentice/kernels/cuda/map.cuh>

namespace apprentice::kernels::SIMT_NS {

/// Thread t of the grid takes elements t, t + threads, ...; each operation is rounded to f32 in the
/// order of the operation's text, as on the CPU.
SIMT_KERNEL_BOUNDS(kMapThreads, 4) sgd_update_kernel(SgdUpdate<float>::Args a) {
  for (int64_t i = first_element(); i < a.param.numel(); i += element_step()) {
    const float g = a.grad.data[i] + a.weight_decay * a.param.data[i];
    float d = g;
    if (a.velocity) {
      const float v = a.momentum * a.velocity.data[i] + g;
      a.velocity.data[i] = v;
      d = a.nesterov ? g + a.momentum * v : v;
    }
    a.param.data[i] -= a.learning_rate * d;
  }
}

/// What Adam's update takes, in f32, as the host works it out once.
struct AdamNumbers {
  float beta1, beta2, rest1, rest2, rate, correct2, eps, decay, shrink;
};

SIMT_KERNEL_BOUNDS(kMapThreads, 4) adam_update_kernel(AdamUpdate<float>::Args a, AdamNumbers c) {
  for (int64_t i = first_element(); i < a.param.numel(); i += element_step()) {
    const float param = a.param.data[i], g = a.grad.data[i] + c.decay * param;
    const float first = c.beta1 * a.first.data[i] + c.rest1 * g;
    const float second = c.beta2 * a.second.data[i] + c.rest2 * g * g;
    a.first.data[i] = first;
    a.second.data[i] = second;
    a.param.data[i] = param * c.shrink - c.rate * first / (sqrtf(second * c.correct2) + c.eps);
  }
}

inline void sgd_update(const SgdUpdate<float>::Args& a, simt::Stream stream) {
  simt::launch(sgd_update_kernel, blocks_for(a.param.numel()), kMapThreads, 0, stream, a);
}

inline void adam_update(const AdamUpdate<float>::Args& a, simt::Stream stream) {
  const AdamNumbers c{
      .beta1 = float(a.beta1),
      .beta2 = float(a.beta2),
      .rest1 = float(1 - a.beta1),
      .rest2 = float(1 - a.beta2),
      .rate = float(a.learning_rate / (1 - std::pow(a.beta1, double(a.step)))),
      .correct2 = float(1 / (1 - std::pow(a.beta2, double(a.step)))),
      .eps = float(a.eps),
      .decay = float(a.decoupled ? 0.0 : a.weight_decay),
      .shrink = float(a.decoupled ? 1 - a.learning_rate * a.weight_decay : 1.0),
  };
  simt::launch(adam_update_kernel, blocks_for(a.param.numel()), kMapThreads, 0, stream, a, c);
}

}  // namespace apprentice::kernels::SIMT_NS
