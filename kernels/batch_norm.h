#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/number.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// Batch normalisation with the batch's statistics, residual add and ReLU, in two passes over x:
///   mean[j] = sum_i x[i,j] / m,  var[j] = sum_i (x[i,j] - mean[j])^2 / m  (biased)
///   inv_std[j] = 1 / sqrt(var[j] + eps[j])
///   y[i,j] = relu?( (x[i,j] - mean[j]) * inv_std[j] * gamma[j] + beta[j]
///                   + residual_scale * residual[i,j] )
///   x, y                             [m, c]; y may be x, if they are of one type
///   gamma, beta, mean, var, inv_std  [c]
///   eps                              [1] or [c]
///   residual                         [m, c], or absent; may be y
/// With max_code > 0 y holds the codes of those values, which takes the ReLU: the codes of
/// QuantizeUniform (kernels/quantize.h) bit for bit,
///   y = clamp(rint(y * (1 / step)), 0, max_code), and `bytes` [m, c], if present, holds them as u8
/// Statistics are summed in blocks of rows whose size does not depend on the number of threads and
/// the blocks in order in double, so the result does not depend on it either.
/// Numbers of a channel are of T, x of X, y and residual of Y: T, or bf16 beside T = f32
/// (kernels/types.h).
/// Source: Ioffe and Szegedy 2015, arXiv:1502.03167, algorithm 1.
template <class T, class X = T, class Y = X>
struct BatchNormTrain {
  static constexpr std::string_view name = "batch_norm_train", types = layer_types_of<T, X, Y>;
  struct Args {
    View2<const X> x;
    View1<const T> gamma, beta, eps;
    View2<const Y> residual;
    Number<T> residual_scale = 1;
    bool relu = false;
    Number<T> step;
    T max_code = 0;
    View2<Y> y;
    View2<uint8_t> bytes;
    View1<T> mean, var, inv_std;
  };
};

/// The same with given statistics:
///   y = relu?( (x - mean) * gamma / sqrt(var + eps) + beta + residual_scale * residual )
/// Shapes, types, codes and aliasing as in BatchNormTrain; inv_std [c] is written if present.
template <class T, class X = T, class Y = X>
struct BatchNormEval {
  static constexpr std::string_view name = "batch_norm_eval", types = layer_types_of<T, X, Y>;
  struct Args {
    View2<const X> x;
    View1<const T> gamma, beta, mean, var, eps;
    View2<const Y> residual;
    Number<T> residual_scale = 1;
    bool relu = false;
    Number<T> step;
    T max_code = 0;
    View2<Y> y;
    View2<uint8_t> bytes;
    View1<T> inv_std;
  };
};

/// Gradients of both, with d = grad_y where the ReLU let pass, 0 elsewhere. It let pass where y >
/// 0; if `y` is absent and `beta` is not, where t > 0, t = (x - mean) * (inv_std * gamma) + beta,
/// which is the same without a residual and spares reading y; everywhere, if both are absent.
///   grad_beta[j] = sum_i d[i,j]
///   grad_gamma[j] = sum_i d[i,j] xhat[i,j], xhat = (x - mean) inv_std
///   grad_x = gamma inv_std (d - grad_beta / m - xhat grad_gamma / m)      train
///   grad_x = gamma inv_std d                                              eval (fixed_statistics)
///   grad_residual = residual_scale * d
///   x, grad_y              [m, c]; y [m, c] or absent
///   grad_x, grad_residual  [m, c], absent where not wanted; each may be grad_y, if of its type
///   grad_gamma, grad_beta  [c], overwritten
/// With max_code > 0 grad_y is that of codes, and the quantizer lets pass by its clipped
/// straight-through gradient (QuantizeUniformBackward on [0, step max_code]):
///   d = (1 / step) * grad_y where 0 < t <= step max_code, t as above plus residual_scale *
///   residual;
/// `beta` is there, `y` is not, and `residual` [m, c] is what the forward added, or absent.
/// Sums as in BatchNormTrain. Types too: x and grad_x of X; y, residual and their gradients of Y.
template <class T, class X = T, class Y = X>
struct BatchNormBackward {
  static constexpr std::string_view name = "batch_norm_backward", types = layer_types_of<T, X, Y>;
  struct Args {
    View2<const X> x;
    View2<const Y> y, grad_y;
    View1<const T> gamma, beta, mean, inv_std;
    View2<const Y> residual;
    Number<T> residual_scale = 1;
    Number<T> step;
    T max_code = 0;
    bool fixed_statistics = false;
    View2<X> grad_x;
    View2<Y> grad_residual;
    View1<T> grad_gamma, grad_beta;
  };
};

/// Statistics of step * x as those of x, so that codes are normalised as step * codes would be,
/// each worked out in double and rounded once:
///   in_mean = mean / step,  in_var = var / step^2,  in_eps = eps / step^2
///   step                         [1] or [c], positive (not checked here), or absent: 1
///   mean, var, in_mean, in_var   [c], or all absent
///   in_eps                       [1], or [c] where step is
template <class T>
struct BatchNormInSteps {
  static constexpr std::string_view name = "batch_norm_in_steps", types = types_of<T>;
  struct Args {
    View1<const T> step, mean, var;
    double eps = 0;
    View1<T> in_mean, in_var, in_eps;
  };
};

/// The running statistics after a batch, worked out in double and rounded once:
///   running_mean = (1 - momentum) running_mean + momentum step mean
///   running_var  = (1 - momentum) running_var  + momentum unbiased step^2 var
///   step as in BatchNormInSteps; mean, var (of the batch, biased) and the running ones [c]
/// unbiased is m / (m - 1) for m values a channel.
template <class T>
struct BatchNormRunning {
  static constexpr std::string_view name = "batch_norm_running", types = types_of<T>;
  struct Args {
    View1<const T> step, mean, var;
    double momentum = 0.1, unbiased = 1;
    View1<T> running_mean, running_var;
  };
};

}  // namespace apprentice::kernels
