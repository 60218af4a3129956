#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/quantize.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

template <class T>
void quantize_uniform(const typename QuantizeUniform<T>::Args& a) {
  for (int64_t i = 0; i < a.x.numel(); ++i) {
    const T t = a.x(i) * a.inv_step.get();
    a.codes(i) = !(t > a.min_code) ? a.min_code : t > a.max_code ? a.max_code : std::rint(t) + T(0);
  }
}

template <class T>
void quantize_uniform_backward(const typename QuantizeUniformBackward<T>::Args& a) {
  for (int64_t i = 0; i < a.x.numel(); ++i) {
    const bool inside = a.x(i) >= a.low.get() && a.x(i) <= a.high.get();
    a.grad_x(i) = inside ? a.grad_codes(i) * a.scale.get() : T(0);
  }
}

template <class T>
void abs_statistics(const typename AbsStatistics<T>::Args& a) {
  for (int64_t row = 0; row < a.x.size(0); ++row) {
    double sum = 0, top = 0;
    for (int64_t j = 0; j < a.x.size(1); ++j) {
      const double v = std::abs(double(a.x(row, j)));
      sum += v, top = std::max(top, v);
    }
    if (a.mean) a.mean(row) = T(sum / double(a.x.size(1)));
    if (a.max) a.max(row) = T(top);
  }
}

template <class T>
void ternarize(const typename Ternarize<T>::Args& a) {
  for (int64_t row = 0; row < a.w.size(0); ++row) {
    double positive = 0, negative = 0;
    int64_t positives = 0, negatives = 0;
    const T threshold = T(a.factor * double(a.threshold(row)));
    for (int64_t j = 0; j < a.w.size(1); ++j) {
      // Selections, not branches: signs cannot be predicted.
      const T w = a.w(row, j);
      const bool above = w > threshold, below = w < -threshold;
      a.codes(row, j) = T(int(above) - int(below));
      positive += above ? double(w) : 0.0, positives += above;
      negative -= below ? double(w) : 0.0, negatives += below;
    }
    const auto mean = [](double sum, int64_t n) { return T(n ? sum / double(n) : 0.0); };
    if (a.positive_mean) a.positive_mean(row) = mean(positive, positives);
    if (a.negative_mean) a.negative_mean(row) = mean(negative, negatives);
    if (a.nonzero_mean) a.nonzero_mean(row) = mean(positive + negative, positives + negatives);
  }
}

template <class T>
void trained_ternary_backward(const typename TrainedTernaryBackward<T>::Args& a) {
  for (int64_t row = 0; row < a.codes.size(0); ++row) {
    double positive = 0, negative = 0;
    for (int64_t j = 0; j < a.codes.size(1); ++j) {
      const T code = a.codes(row, j), grad = a.grad_wq(row, j);
      if (code > 0) positive += double(grad);
      if (code < 0) negative -= double(grad);
      a.grad_w(row, j) = grad * (code > 0 ? a.positive(row) : code < 0 ? a.negative(row) : T(1));
    }
    a.grad_positive(row) = T(positive), a.grad_negative(row) = T(negative);
  }
}

template <class T>
void add_all() {
  add_reference<QuantizeUniform<T>>(quantize_uniform<T>);
  add_reference<QuantizeUniformBackward<T>>(quantize_uniform_backward<T>);
  add_reference<AbsStatistics<T>>(abs_statistics<T>);
  add_reference<Ternarize<T>>(ternarize<T>);
  add_reference<TrainedTernaryBackward<T>>(trained_ternary_backward<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(quantize_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
}
