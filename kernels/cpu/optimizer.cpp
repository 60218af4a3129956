#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/quantize_weights_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/optimizer.h>

namespace apprentice::kernels {
namespace {

using Sgd = SgdStep<float>;
using Adam = AdamStep<float>;

template <bool kNesterov>
void sgd_with_velocity(const Sgd::Parameter& p, float rate, float momentum) {
  const int64_t n = p.param.numel();
  float *param = p.param.data, *velocity = p.velocity.data;
  const float* grad = p.grad.data;
  const float decay = p.weight_decay, bound = p.bound;
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] + decay * param[i];
    const float v = momentum * velocity[i] + g;
    velocity[i] = v;
    param[i] = within(param[i] - rate * (kNesterov ? g + momentum * v : v), bound);
  }
}

void sgd_without_velocity(const Sgd::Parameter& p, float rate) {
  map_binary(View1<const float>(p.param), p.grad, p.param,
             [rate, decay = p.weight_decay, bound = p.bound](float v, float g) {
               return within(v - rate * (g + decay * v), bound);
             });
}

void move_parameter(const Sgd::Args& a, const Sgd::Parameter& p) {
  const auto rate = float(a.learning_rate(0) * p.lr_scale);
  if (!p.velocity)
    sgd_without_velocity(p, rate);
  else if (a.nesterov)
    sgd_with_velocity<true>(p, rate, a.momentum);
  else
    sgd_with_velocity<false>(p, rate, a.momentum);
}

void move_parameter(const Adam::Args& a, const Adam::Parameter& p) {
  const int64_t n = p.param.numel();
  float *param = p.param.data, *first = p.first.data, *second = p.second.data;
  const float* grad = p.grad.data;
  const auto beta1 = float(a.beta1), beta2 = float(a.beta2), eps = float(a.eps);
  const auto rest1 = float(1 - a.beta1), rest2 = float(1 - a.beta2);
  const auto rate = float(a.numbers(1) * p.lr_scale), correct2 = float(a.numbers(2));
  const auto decay = float(a.decoupled ? 0.0 : p.weight_decay);
  const auto shrink = float(a.decoupled ? 1 - a.numbers(0) * p.lr_scale * p.weight_decay : 1.0);
  const float bound = p.bound;
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] + decay * param[i];
    const float m = beta1 * first[i] + rest1 * g;
    const float v = beta2 * second[i] + rest2 * g * g;
    first[i] = m, second[i] = v;
    param[i] = within(param[i] * shrink - rate * m / (std::sqrt(v * correct2) + eps), bound);
  }
}

/// The weights are quantized in a pass of their own, as a core keeps few of them in its cache.
template <class Step>
void step(const typename Step::Args& a) {
  if (!skips(a.skip))
    for (const auto& p : a.parameters) move_parameter(a, p);
  quantize_weights_on_cpu({codes_of(a.parameters)});
}

template <class Step>
std::string refuse(const typename Step::Args& a) {
  return refuse_quantize_weights({codes_of(a.parameters)});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(optimizer) {
  using namespace apprentice::kernels;
  add_portable<Sgd>(step<Sgd>, refuse<Sgd>);
  add_portable<Adam>(step<Adam>, refuse<Adam>);
}
