#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/batch_norm.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

/// relu?( (x - mean) inv_std gamma + beta + residual_scale residual ) of channel j, or codes of it.
template <class T, class Y, class Args>
void normalize(const Args& a, int64_t j, double mean, double inv_std) {
  for (int64_t i = 0; i < a.x.size(0); ++i) {
    double y = (double(a.x(i, j)) - mean) * inv_std * double(a.gamma(j)) + double(a.beta(j));
    if (a.residual) y += double(a.residual_scale.get()) * double(a.residual(i, j));
    if (a.relu && y < 0) y = 0;
    if (a.max_code > 0) {
      const T t = T(y) * (1 / a.step.get());
      y = double(t > 0 ? std::rint(std::min(t, a.max_code)) : T(0));
    }
    a.y(i, j) = Y(T(y));
    if (a.bytes) a.bytes(i, j) = uint8_t(y);
  }
}

template <class T>
double eps_of(View1<const T> eps, int64_t j) {
  return double(eps(eps.size(0) == 1 ? 0 : j));
}

template <class T, class X, class Y>
void train(const typename BatchNormTrain<T, X, Y>::Args& a) {
  const int64_t m = a.x.size(0);
  for (int64_t j = 0; j < a.x.size(1); ++j) {
    double mean = 0, var = 0;
    for (int64_t i = 0; i < m; ++i) mean += double(a.x(i, j)) / double(m);
    for (int64_t i = 0; i < m; ++i) {
      const double d = double(a.x(i, j)) - mean;
      var += d * d / double(m);
    }
    const double inv_std = 1 / std::sqrt(var + eps_of(a.eps, j));
    a.mean(j) = T(mean), a.var(j) = T(var), a.inv_std(j) = T(inv_std);
    normalize<T, Y>(a, j, mean, inv_std);
  }
}

template <class T, class X, class Y>
void eval(const typename BatchNormEval<T, X, Y>::Args& a) {
  for (int64_t j = 0; j < a.x.size(1); ++j) {
    const double inv_std = 1 / std::sqrt(double(a.var(j)) + eps_of(a.eps, j));
    if (a.inv_std) a.inv_std(j) = T(inv_std);
    normalize<T, Y>(a, j, double(a.mean(j)), inv_std);
  }
}

/// Did the ReLU and the quantizer let element (i, j) pass? Computed in T, as the forward's own
/// value is.
template <class T, class Args>
bool passed(const Args& a, int64_t i, int64_t j) {
  if (a.y) return a.y(i, j) > 0;
  if (!a.beta) return true;
  const T scale = T(double(a.gamma(j)) * double(a.inv_std(j)));
  T t = (T(a.x(i, j)) - a.mean(j)) * scale + a.beta(j);
  if (a.residual) t += a.residual_scale.get() * T(a.residual(i, j));
  return t > 0 && (a.max_code == 0 || t <= a.step.get() * a.max_code);
}

template <class T, class X, class Y>
void backward(const typename BatchNormBackward<T, X, Y>::Args& a) {
  const int64_t m = a.x.size(0);
  const double factor = a.max_code > 0 ? double(1 / a.step.get()) : 1;
  for (int64_t j = 0; j < a.x.size(1); ++j) {
    const double mean = double(a.mean(j)), inv_std = double(a.inv_std(j));
    const auto xhat = [&](int64_t i) { return (double(a.x(i, j)) - mean) * inv_std; };
    const auto d = [&](int64_t i) {
      return passed<T>(a, i, j) ? factor * double(a.grad_y(i, j)) : 0;
    };
    double sum = 0, sum_xhat = 0;
    for (int64_t i = 0; i < m; ++i) sum += d(i), sum_xhat += d(i) * xhat(i);
    a.grad_beta(j) = T(sum), a.grad_gamma(j) = T(sum_xhat);
    const double batch = a.fixed_statistics ? 0.0 : 1 / double(m);
    for (int64_t i = 0; i < m; ++i) {
      const double di = d(i);
      const double dx = di - batch * sum - xhat(i) * batch * sum_xhat;
      if (a.grad_x) a.grad_x(i, j) = X(T(double(a.gamma(j)) * inv_std * dx));
      if (a.grad_residual) a.grad_residual(i, j) = Y(T(double(a.residual_scale.get()) * di));
    }
  }
}

template <class T>
double step_of(View1<const T> step, int64_t j) {
  return step ? double(step(step.numel() == 1 ? 0 : j)) : 1;
}

template <class T>
void in_steps(const typename BatchNormInSteps<T>::Args& a) {
  for (int64_t j = 0; j < a.in_eps.numel(); ++j) {
    const double step = step_of(a.step, j);
    a.in_eps(j) = T(a.eps / (step * step));
  }
  for (int64_t j = 0; j < a.in_mean.numel() && a.in_mean; ++j) {
    const double step = step_of(a.step, j);
    a.in_mean(j) = T(double(a.mean(j)) / step);
    a.in_var(j) = T(double(a.var(j)) / (step * step));
  }
}

template <class T>
void running(const typename BatchNormRunning<T>::Args& a) {
  const double rest = 1 - a.momentum;
  for (int64_t j = 0; j < a.mean.numel(); ++j) {
    const double step = step_of(a.step, j);
    const double mean = double(a.mean(j)) * step;
    const double var = double(a.var(j)) * a.unbiased * (step * step);
    a.running_mean(j) = T(rest * double(a.running_mean(j)) + a.momentum * mean);
    a.running_var(j) = T(rest * double(a.running_var(j)) + a.momentum * var);
  }
}

template <class T, class X = T, class Y = X>
void add_layer() {
  add_reference<BatchNormTrain<T, X, Y>>(train<T, X, Y>);
  add_reference<BatchNormEval<T, X, Y>>(eval<T, X, Y>);
  add_reference<BatchNormBackward<T, X, Y>>(backward<T, X, Y>);
}

template <class T>
void add_all() {
  add_layer<T>();
  add_reference<BatchNormInSteps<T>>(in_steps<T>);
  add_reference<BatchNormRunning<T>>(running<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(batch_norm_reference) {
  using namespace apprentice;
  kernels::add_all<float>();
  kernels::add_all<double>();
  kernels::add_layer<float, Bf16>();
  kernels::add_layer<float, float, Bf16>();
  kernels::add_layer<float, Bf16, float>();
}
