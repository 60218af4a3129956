#pragma once

#include <apprentice/kernels/optimizer.h>
#include <apprentice/kernels/cuda/tensor_list_internal.cuh>

// Blocks take chunks of the list of parameters, thread t of a block the fours t, t + threads, ...
// of a chunk; each operation is rounded to f32 in the order of the operation's text, as on the CPU.
namespace apprentice::kernels::SIMT_NS {

struct SgdEntry {
  float* param;
  const float* grad;
  float* velocity;
  int64_t n;
  double lr_scale;
  float weight_decay;
  uint32_t chunks() const { return chunks_of(n); }
};
struct SgdNumbers {
  const double* learning_rate;
  const int64_t* skip;
  float momentum;
  bool nesterov;
};

SIMT_KERNEL_BOUNDS(kListThreads, 4)
sgd_step_kernel(SIMT_GRID_CONSTANT const EntryList<SgdEntry> list, SgdNumbers c) {
  if (c.skip && *c.skip != 0) return;
  const double learning_rate = *c.learning_rate;
  for_fours(list, [&](const SgdEntry& p, int64_t at, int64_t end) {
    const auto rate = float(learning_rate * p.lr_scale);
    Four param = load_four(p.param, at, end), velocity{};
    const Four grad = load_four(p.grad, at, end);
    if (p.velocity) velocity = load_four(p.velocity, at, end);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float g = grad.v[i] + p.weight_decay * param.v[i];
      float d = g;
      if (p.velocity) {
        const float v = c.momentum * velocity.v[i] + g;
        velocity.v[i] = v;
        d = c.nesterov ? g + c.momentum * v : v;
      }
      param.v[i] -= rate * d;
    }
    store_four(p.param, at, end, param);
    if (p.velocity) store_four(p.velocity, at, end, velocity);
  });
}

struct AdamEntry {
  float* param;
  const float* grad;
  float *first, *second;
  int64_t n;
  double lr_scale, shrink_by;  ///< param *= 1 - learning rate * shrink_by
  float weight_decay;
  uint32_t chunks() const { return chunks_of(n); }
};
struct AdamConstants {
  const double* numbers;
  const int64_t* skip;
  float beta1, beta2, rest1, rest2, eps;
};

SIMT_KERNEL_BOUNDS(kListThreads, 4)
adam_step_kernel(SIMT_GRID_CONSTANT const EntryList<AdamEntry> list, AdamConstants c) {
  if (c.skip && *c.skip != 0) return;
  const double learning_rate = c.numbers[0], corrected_rate = c.numbers[1];
  const auto correct2 = float(c.numbers[2]);
  for_fours(list, [&](const AdamEntry& p, int64_t at, int64_t end) {
    const auto rate = float(corrected_rate * p.lr_scale);
    const auto shrink = float(1 - learning_rate * p.lr_scale * p.shrink_by);
    Four param = load_four(p.param, at, end);
    const Four grad = load_four(p.grad, at, end);
    Four first = load_four(p.first, at, end), second = load_four(p.second, at, end);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float g = grad.v[i] + p.weight_decay * param.v[i];
      const float m = c.beta1 * first.v[i] + c.rest1 * g;
      const float v = c.beta2 * second.v[i] + c.rest2 * g * g;
      first.v[i] = m;
      second.v[i] = v;
      param.v[i] = param.v[i] * shrink - rate * m / (sqrtf(v * correct2) + c.eps);
    }
    store_four(p.first, at, end, first);
    store_four(p.second, at, end, second);
    store_four(p.param, at, end, param);
  });
}

inline void sgd_step(const SgdStep<float>::Args& a, simt::Stream stream) {
  const SgdNumbers c{a.learning_rate.data, a.skip.data, a.momentum, a.nesterov};
  for_entry_lists(
      a.parameters.size(),
      [&](size_t i) {
        const auto& p = a.parameters[i];
        return SgdEntry{p.param.data,    p.grad.data, p.velocity.data,
                        p.param.numel(), p.lr_scale,  p.weight_decay};
      },
      [&](const EntryList<SgdEntry>& list) {
        simt::launch(sgd_step_kernel, list.blocks(), kListThreads, 0, stream, list, c);
      });
}

inline void adam_step(const AdamStep<float>::Args& a, simt::Stream stream) {
  const AdamConstants c{.numbers = a.numbers.data,
                        .skip = a.skip.data,
                        .beta1 = float(a.beta1),
                        .beta2 = float(a.beta2),
                        .rest1 = float(1 - a.beta1),
                        .rest2 = float(1 - a.beta2),
                        .eps = float(a.eps)};
  for_entry_lists(
      a.parameters.size(),
      [&](size_t i) {
        const auto& p = a.parameters[i];
        return AdamEntry{.param = p.param.data,
                         .grad = p.grad.data,
                         .first = p.first.data,
                         .second = p.second.data,
                         .n = p.param.numel(),
                         .lr_scale = p.lr_scale,
                         .shrink_by = a.decoupled ? p.weight_decay : 0.0,
                         .weight_decay = float(a.decoupled ? 0.0 : p.weight_decay)};
      },
      [&](const EntryList<AdamEntry>& list) {
        simt::launch(adam_step_kernel, list.blocks(), kListThreads, 0, stream, list, c);
      });
}

}  // namespace apprentice::kernels::SIMT_NS
