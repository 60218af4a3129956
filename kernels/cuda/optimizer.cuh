#pragma once

#include <apprentice/kernels/optimizer.h>
#include <apprentice/kernels/cuda/quantize_weights_internal.cuh>

// Blocks take chunks of the list of parameters, thread t of a block the fours t, t + threads, ...
// of a chunk; each operation is rounded to f32 in the order of the operation's text, as on the CPU.
// Parameters with codes are rows of parts instead, and what follows from them is made in the same
// launch, where a row is longer than a part in a second one (quantize_weights_internal.cuh).
namespace apprentice::kernels::SIMT_NS {

/// Elements moved by SgdStep.
struct SgdSource {
  struct Entry {
    float* param;
    const float* grad;
    float* velocity;
    double lr_scale;
    float weight_decay, bound;
  };
  struct Now {
    double learning_rate;
    bool skips;
  };
  const double* learning_rate;
  const int64_t* skip;
  float momentum;
  bool nesterov;

  SIMT_FN Now now() const { return {*learning_rate, skip && *skip != 0}; }
  /// Four elements of the row that begins at `first`, up to its element `end`.
  SIMT_FN Four four(const Entry& p, const Now& now, int64_t first, int64_t at, int64_t end) const {
    Four param = load_four(p.param + first, at, end), velocity{};
    if (now.skips) return param;
    const auto rate = float(now.learning_rate * p.lr_scale);
    const Four grad = load_four(p.grad + first, at, end);
    if (p.velocity) velocity = load_four(p.velocity + first, at, end);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float g = grad.v[i] + p.weight_decay * param.v[i];
      float d = g;
      if (p.velocity) {
        const float v = momentum * velocity.v[i] + g;
        velocity.v[i] = v;
        d = nesterov ? g + momentum * v : v;
      }
      param.v[i] = within(param.v[i] - rate * d, p.bound);
    }
    store_four(p.param + first, at, end, param);
    if (p.velocity) store_four(p.velocity + first, at, end, velocity);
    return param;
  }
};

/// Elements moved by AdamStep.
struct AdamSource {
  struct Entry {
    float* param;
    const float* grad;
    float *first, *second;
    double lr_scale, shrink_by;  ///< param *= 1 - learning rate * shrink_by
    float weight_decay, bound;
  };
  struct Now {
    double learning_rate, corrected_rate;
    float correct2;
    bool skips;
  };
  const double* numbers;
  const int64_t* skip;
  float beta1, beta2, rest1, rest2, eps;

  SIMT_FN Now now() const {
    return {numbers[0], numbers[1], float(numbers[2]), skip && *skip != 0};
  }
  SIMT_FN Four four(const Entry& p, const Now& now, int64_t row, int64_t at, int64_t end) const {
    Four param = load_four(p.param + row, at, end);
    if (now.skips) return param;
    const auto rate = float(now.corrected_rate * p.lr_scale);
    const auto shrink = float(1 - now.learning_rate * p.lr_scale * p.shrink_by);
    const Four grad = load_four(p.grad + row, at, end);
    Four first = load_four(p.first + row, at, end), second = load_four(p.second + row, at, end);
    SIMT_UNROLL
    for (int i = 0; i < 4; ++i) {
      const float g = grad.v[i] + p.weight_decay * param.v[i];
      const float m = beta1 * first.v[i] + rest1 * g;
      const float v = beta2 * second.v[i] + rest2 * g * g;
      first.v[i] = m;
      second.v[i] = v;
      param.v[i] =
          within(param.v[i] * shrink - rate * m / (sqrtf(v * now.correct2) + eps), p.bound);
    }
    store_four(p.first + row, at, end, first);
    store_four(p.second + row, at, end, second);
    store_four(p.param + row, at, end, param);
    return param;
  }
};

template <class Parameter>
RowsEntry rows_of(const Parameter& p) {
  return p.codes ? rows_entry(*p.codes) : rows_entry(p.param.numel());
}

template <class Step>
size_t step_scratch_bytes(const typename Step::Args& a) {
  size_t bytes = 0;
  for (const auto& p : a.parameters) bytes += scratch_bytes(rows_of(p));
  return bytes;
}

/// `scratch`: step_scratch_bytes of device memory.
inline void sgd_step(const SgdStep<float>::Args& a, void* scratch, simt::Stream stream) {
  make_weights(
      a.parameters.size(),
      [&](size_t i) {
        const auto& p = a.parameters[i];
        return SourceEntry<SgdSource>{{.param = p.param.data,
                                       .grad = p.grad.data,
                                       .velocity = p.velocity.data,
                                       .lr_scale = p.lr_scale,
                                       .weight_decay = p.weight_decay,
                                       .bound = p.bound},
                                      rows_of(p)};
      },
      SgdSource{a.learning_rate.data, a.skip.data, a.momentum, a.nesterov}, scratch, stream);
}

/// `scratch`: step_scratch_bytes of device memory.
inline void adam_step(const AdamStep<float>::Args& a, void* scratch, simt::Stream stream) {
  const AdamSource source{.numbers = a.numbers.data,
                          .skip = a.skip.data,
                          .beta1 = float(a.beta1),
                          .beta2 = float(a.beta2),
                          .rest1 = float(1 - a.beta1),
                          .rest2 = float(1 - a.beta2),
                          .eps = float(a.eps)};
  make_weights(
      a.parameters.size(),
      [&](size_t i) {
        const auto& p = a.parameters[i];
        return SourceEntry<AdamSource>{{.param = p.param.data,
                                        .grad = p.grad.data,
                                        .first = p.first.data,
                                        .second = p.second.data,
                                        .lr_scale = p.lr_scale,
                                        .shrink_by = a.decoupled ? p.weight_decay : 0.0,
                                        .weight_decay = float(a.decoupled ? 0.0 : p.weight_decay),
                                        .bound = p.bound},
                                       rows_of(p)};
      },
      source, scratch, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
