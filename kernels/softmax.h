#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Over rows, with z = x / temperature and top = max z:
///   softmax y = exp(z - top) / sum exp(z - top);  logarithm: y = z - top - log sum exp(z - top)
///   x, y [rows, n]; y may be x
template <class T>
struct Softmax {
  static constexpr std::string_view name = "softmax", types = types_of<T>;
  struct Args {
    View2<const T> x;
    View2<T> y;
    double temperature = 1;
    bool logarithm = false;
  };
};

/// From the forward's y:
///   softmax: grad_x = y (grad_y - sum_j y_j grad_y_j) / temperature
///   logarithm: grad_x = (grad_y - exp(y) sum_j grad_y_j) / temperature
///   y, grad_y, grad_x [rows, n]; grad_x may be grad_y
template <class T>
struct SoftmaxBackward {
  static constexpr std::string_view name = "softmax_backward", types = types_of<T>;
  struct Args {
    View2<const T> y, grad_y;
    View2<T> grad_x;
    double temperature = 1;
    bool logarithm = false;
  };
};

}  // namespace apprentice::kernels
