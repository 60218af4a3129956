#include <algorithm>
#include <cmath>
#include <limits>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/reference/reference_internal.h>
#include <apprentice/kernels/softmax.h>

namespace apprentice::kernels {
namespace {

template <class T>
void softmax(const typename Softmax<T>::Args& a) {
  const int64_t n = a.x.size(1);
  for (int64_t row = 0; row < a.x.size(0); ++row) {
    const auto z = [&](int64_t j) { return double(a.x(row, j)) / a.temperature; };
    double top = -std::numeric_limits<double>::infinity(), sum = 0;
    for (int64_t j = 0; j < n; ++j) top = std::max(top, z(j));
    for (int64_t j = 0; j < n; ++j) sum += std::exp(z(j) - top);
    const double log_sum = std::log(sum);
    for (int64_t j = 0; j < n; ++j) {
      const double logarithm = z(j) - top - log_sum;
      a.y(row, j) = T(a.logarithm ? logarithm : std::exp(logarithm));
    }
  }
}

template <class T>
void softmax_backward(const typename SoftmaxBackward<T>::Args& a) {
  const int64_t n = a.y.size(1);
  for (int64_t row = 0; row < a.y.size(0); ++row) {
    double sum = 0;
    for (int64_t j = 0; j < n; ++j)
      sum += double(a.grad_y(row, j)) * (a.logarithm ? 1.0 : double(a.y(row, j)));
    for (int64_t j = 0; j < n; ++j) {
      const double y = double(a.y(row, j)), grad = double(a.grad_y(row, j));
      const double grad_z = a.logarithm ? grad - std::exp(y) * sum : y * (grad - sum);
      a.grad_x(row, j) = T(grad_z / a.temperature);
    }
  }
}

template <class T>
void add_all() {
  add_reference<Softmax<T>>(softmax<T>);
  add_reference<SoftmaxBackward<T>>(softmax_backward<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(softmax_reference) {
  apprentice::kernels::add_all<float>();
  apprentice::kernels::add_all<double>();
}
