#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/optimizer.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void sgd_update(const typename SgdUpdate<T>::Args& a) {
  for (int64_t i = 0; i < a.param.numel(); ++i) {
    const T g = a.grad(i) + a.weight_decay * a.param(i);
    T d = g;
    if (a.velocity) {
      a.velocity(i) = a.momentum * a.velocity(i) + g;
      d = a.nesterov ? g + a.momentum * a.velocity(i) : a.velocity(i);
    }
    a.param(i) -= a.learning_rate * d;
  }
}

template <class T>
void adam_update(const typename AdamUpdate<T>::Args& a) {
  const double correct1 = 1 - std::pow(a.beta1, double(a.step));
  const double correct2 = 1 - std::pow(a.beta2, double(a.step));
  for (int64_t i = 0; i < a.param.numel(); ++i) {
    double param = double(a.param(i)), g = double(a.grad(i));
    if (a.decoupled) {
      param *= 1 - a.learning_rate * a.weight_decay;
    } else {
      g += a.weight_decay * param;
    }
    const double first = a.beta1 * double(a.first(i)) + (1 - a.beta1) * g;
    const double second = a.beta2 * double(a.second(i)) + (1 - a.beta2) * g * g;
    const double scale = std::sqrt(second / correct2) + a.eps;
    a.first(i) = T(first), a.second(i) = T(second);
    a.param(i) = T(param - a.learning_rate / correct1 * first / scale);
  }
}

template <class T>
void add_all() {
  add_reference<SgdUpdate<T>>(sgd_update<T>);
  add_reference<AdamUpdate<T>>(adam_update<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(optimizer_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
}
