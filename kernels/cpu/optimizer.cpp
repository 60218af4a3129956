#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/optimizer.h>

namespace apprentice::kernels {
namespace {

using Sgd = SgdUpdate<float>;
using Adam = AdamUpdate<float>;

template <bool kNesterov>
void sgd_with_velocity(const Sgd::Args& a) {
  const int64_t n = a.param.numel();
  float *param = a.param.data, *velocity = a.velocity.data;
  const float* grad = a.grad.data;
  const float rate = a.learning_rate, momentum = a.momentum, decay = a.weight_decay;
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] + decay * param[i];
    const float v = momentum * velocity[i] + g;
    velocity[i] = v;
    param[i] -= rate * (kNesterov ? g + momentum * v : v);
  }
}

void sgd_update(const Sgd::Args& a) {
  if (a.velocity) return a.nesterov ? sgd_with_velocity<true>(a) : sgd_with_velocity<false>(a);
  const float rate = a.learning_rate, decay = a.weight_decay;
  map_binary(View1<const float>(a.param), a.grad, a.param,
             [=](float param, float grad) { return param - rate * (grad + decay * param); });
}

void adam_update(const Adam::Args& a) {
  const int64_t n = a.param.numel();
  float *param = a.param.data, *first = a.first.data, *second = a.second.data;
  const float* grad = a.grad.data;
  const auto beta1 = float(a.beta1), beta2 = float(a.beta2), eps = float(a.eps);
  const auto rest1 = float(1 - a.beta1), rest2 = float(1 - a.beta2);
  const auto rate = float(a.learning_rate / (1 - std::pow(a.beta1, double(a.step))));
  const auto correct2 = float(1 / (1 - std::pow(a.beta2, double(a.step))));
  const auto decay = float(a.decoupled ? 0.0 : a.weight_decay);
  const auto shrink = float(a.decoupled ? 1 - a.learning_rate * a.weight_decay : 1.0);
#pragma omp parallel for simd schedule(static) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] + decay * param[i];
    const float m = beta1 * first[i] + rest1 * g;
    const float v = beta2 * second[i] + rest2 * g * g;
    first[i] = m, second[i] = v;
    param[i] = param[i] * shrink - rate * m / (std::sqrt(v * correct2) + eps);
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(optimizer) {
  using namespace apprentice::kernels;
  add_portable<Sgd>(sgd_update);
  add_portable<Adam>(adam_update);
}
