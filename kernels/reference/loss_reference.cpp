#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/loss.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

/// What a softmax takes off z: log softmax(z) = z - top - log_sum.
struct Normalizer {
  double top, log_sum;
};

/// y = x[row] / temperature, and its normalizer.
template <class T>
Normalizer normalizer(View2<const T> x, int64_t row, double temperature, std::vector<double>& y) {
  double top = -std::numeric_limits<double>::infinity(), sum = 0;
  y.resize(size_t(x.size(1)));
  for (size_t j = 0; j < y.size(); ++j) {
    y[j] = double(x(row, j)) / temperature;
    top = std::max(top, y[j]);
  }
  for (double z : y) sum += std::exp(z - top);
  return {top, std::log(sum)};
}

/// softmax(x[row] / temperature), each rounded as the Softmax kernel rounds it.
template <class T>
void softmax(View2<const T> x, int64_t row, double temperature, std::vector<double>& y) {
  const auto [top, log_sum] = normalizer(x, row, temperature, y);
  for (double& z : y) z = double(T(std::exp(z - top - log_sum)));
}

/// log softmax(x[row] / temperature).
template <class T>
void log_softmax(View2<const T> x, int64_t row, double temperature, std::vector<double>& y) {
  const auto [top, log_sum] = normalizer(x, row, temperature, y);
  for (double& z : y) z -= top + log_sum;
}

template <class T>
void softmax_cross_entropy(const typename SoftmaxCrossEntropy<T>::Args& a) {
  const int64_t classes = a.logits.size(1);
  std::vector<double> log_p, taught;
  for (int64_t row = 0; row < a.logits.size(0); ++row) {
    log_softmax(a.logits, row, a.temperature, log_p);
    if (a.teacher) softmax(a.teacher, row, a.temperature, taught);
    const auto target = [&](int64_t c) {
      if (a.teacher) return taught[size_t(c)];
      if (a.targets) return double(a.targets(row, c));
      return (a.labels(row) == c ? 1 - a.smoothing : 0.0) + a.smoothing / double(classes);
    };
    double loss = 0, mass = 0;
    for (int64_t c = 0; c < classes; ++c) {
      mass += target(c);
      if (target(c) != 0) loss -= target(c) * log_p[size_t(c)];
    }
    a.loss(row) = T(loss);
    if (!a.grad) continue;
    for (int64_t c = 0; c < classes; ++c)
      a.grad(row, c) = T((std::exp(log_p[size_t(c)]) * mass - target(c)) / a.temperature);
  }
}

template <class T>
void kl_divergence(const typename KlDivergence<T>::Args& a) {
  std::vector<double> log_s, log_t;
  for (int64_t row = 0; row < a.student.size(0); ++row) {
    log_softmax(a.student, row, a.temperature, log_s);
    log_softmax(a.teacher, row, a.temperature, log_t);
    double loss = 0;
    for (size_t c = 0; c < log_s.size(); ++c) {
      const double t = std::exp(log_t[c]);
      if (t > 0) loss += t * (log_t[c] - log_s[c]);
      if (a.grad) a.grad(row, c) = T((std::exp(log_s[c]) - t) / a.temperature);
    }
    a.loss(row) = T(loss);
  }
}

template <class T>
void cosine_loss(const typename CosineLoss<T>::Args& a) {
  constexpr double kSmallest = CosineLoss<T>::kSmallestNorm;
  const int64_t d = a.x.size(1);
  for (int64_t row = 0; row < a.x.size(0); ++row) {
    double xx = 0, tt = 0, xt = 0;
    for (int64_t j = 0; j < d; ++j) {
      const double x = double(a.x(row, j)), t = double(a.target(row, j));
      xx += x * x, tt += t * t, xt += x * t;
    }
    const double norm_x = std::max(std::sqrt(xx), kSmallest);
    const double norm_t = std::max(std::sqrt(tt), kSmallest);
    const double cosine = xt / (norm_x * norm_t);
    a.loss(row) = T(1 - cosine);
    if (!a.grad) continue;
    const double own = std::sqrt(xx) < kSmallest ? 0.0 : cosine / (norm_x * norm_x);
    for (int64_t j = 0; j < d; ++j)
      a.grad(row, j) = T(own * double(a.x(row, j)) - double(a.target(row, j)) / (norm_x * norm_t));
  }
}

template <class T>
void squared_error(const typename SquaredError<T>::Args& a) {
  for (int64_t row = 0; row < a.x.size(0); ++row) {
    double sum = 0;
    for (int64_t j = 0; j < a.x.size(1); ++j) {
      const double d = double(a.x(row, j)) - double(a.target(row, j));
      sum += d * d;
      if (a.grad) a.grad(row, j) = T(2 * d);
    }
    a.loss(row) = T(sum);
  }
}

template <class T>
void add_all() {
  add_reference<SoftmaxCrossEntropy<T>>(softmax_cross_entropy<T>);
  add_reference<KlDivergence<T>>(kl_divergence<T>);
  add_reference<CosineLoss<T>>(cosine_loss<T>);
  add_reference<SquaredError<T>>(squared_error<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(loss_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
}
