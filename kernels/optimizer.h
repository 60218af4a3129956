#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

#include <apprentice/base/view.h>
#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/kernels/types.h>

// One step of an optimizer, in place, for any number of parameters at once. What a run changes from
// step to step is read from memory of the device, so that a captured graph of steps stays right;
// the list of parameters is host memory, read before run() returns. No parameter moves where
// skip[0] is not 0 (kernels/non_finite.h counts into such a word).
//
// A step may go on to what else follows from a parameter while it is at hand:
//   bound  param = min(max(param, -bound), bound) after it has moved; infinity: no bound
//   codes  null, or what QuantizeWeights is to make of the new param, which codes->w is [rows, k]:
//          codes, scales and counts, bit for bit as a pass of its own would, skipped step or not
namespace apprentice::kernels {

/// Stochastic gradient descent, with rate = T(learning_rate[0] * lr_scale):
///   g = grad + weight_decay * param
///   velocity = momentum * velocity + g,  d = nesterov ? g + momentum * velocity : velocity
///   param -= rate * d            (d = g if `velocity` is absent)
///   param, grad, velocity [n]; velocity starts at 0
///   learning_rate [1]; skip [1] or absent
/// Every operation is rounded to T in this order, so all kernels give the same bits.
/// Source: Sutskever et al. 2013, without dampening.
template <class T>
struct SgdStep {
  static constexpr std::string_view name = "sgd_step", types = types_of<T>;
  struct Parameter {
    View1<T> param;
    View1<const T> grad;
    View1<T> velocity;
    double lr_scale = 1;
    T weight_decay = 0;
    T bound = std::numeric_limits<T>::infinity();
    const QuantizeWeights::Weight* codes = nullptr;
  };
  struct Args {
    std::span<const Parameter> parameters;
    View1<const double> learning_rate;
    T momentum = 0;
    bool nesterov = false;
    View1<const int64_t> skip{};
  };
};

/// What Adam's update number `step`, counting from 1, takes: the learning rate, the learning rate /
/// (1 - beta1^step), and 1 / (1 - beta2^step). Worked out on the host: devices differ in powers.
using AdamNumbers = std::array<double, 3>;
inline AdamNumbers adam_numbers(double learning_rate, double beta1, double beta2, int64_t step) {
  return {learning_rate, learning_rate / (1 - std::pow(beta1, double(step))),
          1 / (1 - std::pow(beta2, double(step)))};
}

/// Adam, where numbers [3] are adam_numbers(learning_rate, ..., step):
///   g = grad + weight_decay * param
///                    (decoupled: g = grad, param *= 1 - learning_rate lr_scale weight_decay)
///   first = beta1 first + (1 - beta1) g,  second = beta2 second + (1 - beta2) g^2
///   param -= numbers[1] lr_scale first / (sqrt(second numbers[2]) + eps)
///   param, grad, first, second [n]; first and second start at 0; skip [1] or absent
/// Sources: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1; Loshchilov and Hutter 2019,
/// arXiv:1711.05101 (decoupled).
template <class T>
struct AdamStep {
  static constexpr std::string_view name = "adam_step", types = types_of<T>;
  struct Parameter {
    View1<T> param;
    View1<const T> grad;
    View1<T> first, second;
    double lr_scale = 1, weight_decay = 0;
    T bound = std::numeric_limits<T>::infinity();
    const QuantizeWeights::Weight* codes = nullptr;
  };
  struct Args {
    std::span<const Parameter> parameters;
    View1<const double> numbers;
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    bool decoupled = false;
    View1<const int64_t> skip{};
  };
};

/// Is there a word that tells a step to do nothing, and does it?
inline bool skips(View1<const int64_t> skip) { return skip && skip(0) != 0; }

/// A parameter after it has moved: not beyond its bound; NaN stays NaN. Device code calls it, too.
template <class T>
constexpr T within(T param, T bound) {
  return param < -bound ? -bound : param > bound ? bound : param;
}

/// What the parameters of a list ask to be quantized.
template <class Parameter>
std::vector<QuantizeWeights::Weight> codes_of(std::span<const Parameter> parameters) {
  std::vector<QuantizeWeights::Weight> weights;
  for (const Parameter& p : parameters)
    if (p.codes) weights.push_back(*p.codes);
  return weights;
}

}  // namespace apprentice::kernels
