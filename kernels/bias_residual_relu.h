#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// What follows a product whose library has none of it fused, in one pass over y, in place:
///   y[i,j] = relu?( (y[i,j] + bias[j]) + residual[i,j] )
///   y [m, c], overwritten; bias [c], or absent; residual [m, c], or absent
/// Y is the type in memory; sums are of T, rounded to Y once.
template <class T, class Y = T>
struct BiasResidualRelu {
  static constexpr std::string_view name = "bias_residual_relu", types = types_of<Y>;
  struct Args {
    View2<Y> y;
    View1<const T> bias;
    View2<const Y> residual;
    bool relu = false;
  };
};

}  // namespace apprentice::kernels
