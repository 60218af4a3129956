#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// One step of stochastic gradient descent, in one pass, in place:
///   g = grad + weight_decay * param
///   velocity = momentum * velocity + g,  d = nesterov ? g + momentum * velocity : velocity
///   param -= learning_rate * d            (d = g if `velocity` is absent)
///   param, grad, velocity [n]; velocity starts at 0
/// Every operation is rounded to T in this order, so all kernels give the same bits.
/// Source: Sutskever et al. 2013, without dampening.
template <class T>
struct SgdUpdate {
  static constexpr std::string_view name = "sgd_update", types = types_of<T>;
  struct Args {
    View1<T> param;
    View1<const T> grad;
    View1<T> velocity;
    T learning_rate = 0, momentum = 0, weight_decay = 0;
    bool nesterov = false;
  };
};

/// One step of Adam, in place, `step` counting from 1:
///   g = grad + weight_decay * param   (decoupled: g = grad, param *= 1 - learning_rate
///   weight_decay)
///   first = beta1 first + (1 - beta1) g,  second = beta2 second + (1 - beta2) g^2
///   param -= learning_rate / (1 - beta1^step) * first / (sqrt(second / (1 - beta2^step)) + eps)
///   param, grad, first, second [n]; first and second start at 0
/// Sources: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019,
/// arXiv:1711.05101 (decoupled).
template <class T>
struct AdamUpdate {
  static constexpr std::string_view name = "adam_update", types = types_of<T>;
  struct Args {
    View1<T> param;
    View1<const T> grad;
    View1<T> first, second;
    double learning_rate = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
    bool decoupled = false;
    int64_t step = 1;
  };
};

}  // namespace apprentice::kernels
