#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// A batch norm with given statistics folded into the weight before it, so that one affine map does
/// both; worked out in double and rounded where written:
///   g[o] = gamma[o] / sqrt(var[o] + eps)
///   folded[o,j] = T(g[o] * step[o]) * w[o,j],  bias[o] = T(beta[o] - mean[o] * g[o])
///   w, folded              [out, k]
///   step                   [1] or [out], or absent: 1
///   gamma, beta, mean, var, bias   [out]
/// Exact: all kernels give the same bits.
template <class T>
struct FoldBatchNorm {
  static constexpr std::string_view name = "fold_batch_norm", types = types_of<T>;
  struct Args {
    View2<const T> w;
    View1<const T> step, gamma, beta, mean, var;
    double eps = 0;
    View2<T> folded;
    View1<T> bias;
  };
};

}  // namespace apprentice::kernels
