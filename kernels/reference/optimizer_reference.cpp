#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/optimizer.h>
#include <apprentice/kernels/reference/quantize_weights_internal.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void move_parameter(const typename SgdStep<T>::Args& a, const typename SgdStep<T>::Parameter& p) {
  const auto rate = T(a.learning_rate(0) * p.lr_scale);
  for (int64_t i = 0; i < p.param.numel(); ++i) {
    const T g = p.grad(i) + p.weight_decay * p.param(i);
    T d = g;
    if (p.velocity) {
      p.velocity(i) = a.momentum * p.velocity(i) + g;
      d = a.nesterov ? g + a.momentum * p.velocity(i) : p.velocity(i);
    }
    p.param(i) = within(p.param(i) - rate * d, p.bound);
  }
}

template <class T>
void move_parameter(const typename AdamStep<T>::Args& a, const typename AdamStep<T>::Parameter& p) {
  for (int64_t i = 0; i < p.param.numel(); ++i) {
    double param = double(p.param(i)), g = double(p.grad(i));
    if (a.decoupled) {
      param *= 1 - a.numbers(0) * p.lr_scale * p.weight_decay;
    } else {
      g += p.weight_decay * param;
    }
    const double first = a.beta1 * double(p.first(i)) + (1 - a.beta1) * g;
    const double second = a.beta2 * double(p.second(i)) + (1 - a.beta2) * g * g;
    const double scale = std::sqrt(second * a.numbers(2)) + a.eps;
    p.first(i) = T(first), p.second(i) = T(second);
    p.param(i) = within(T(param - a.numbers(1) * p.lr_scale * first / scale), p.bound);
  }
}

template <class Step, class T>
void step(const typename Step::Args& a) {
  if (!skips(a.skip))
    for (const auto& p : a.parameters) move_parameter<T>(a, p);
  quantize_weights_by_reference({codes_of(a.parameters)});
}

template <class T>
void add_all() {
  add_reference<SgdStep<T>>(step<SgdStep<T>, T>);
  add_reference<AdamStep<T>>(step<AdamStep<T>, T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(optimizer_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
}
