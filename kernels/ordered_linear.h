#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Affine map in one fixed order, so that every kernel gives the same bits (docs/numerics.md, rule
/// 4); the classifier of a quantized network:
///   y[i,j] = bias[j] (0 if absent); for k ascending: y[i,j] = fmaf(x[i,k], w[j,k], y[i,j])
///   x [m, k], w [n, k], bias [n] or absent, y [m, n]; all f32. y must not alias an input.
/// `prepacked` is what the chosen kernel's own `prepack`, if it has one, made of w and bias;
/// without it a kernel prepacks for this one call.
struct OrderedLinear {
  static constexpr std::string_view name = "ordered_linear", types = "f32";
  struct Args {
    View2<const float> x, w;
    View1<const float> bias;
    const Prepacked* prepacked = nullptr;
    View2<float> y;
  };
};

}  // namespace apprentice::kernels
