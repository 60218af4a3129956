#pragma once

#include <cstdint>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// The constants that turn an integer accumulator into an output code (docs/numerics.md, rule 3):
///   t = fmaf(f32(acc), a[c], b[c]);  with a shortcut t = fmaf(f32(code_r), r, t);
///   code = clamp(rint(t), 0, max_code), half to even; the clamp is the ReLU.
/// Two-step weights (TTQ) have two accumulators, P over t = +1 and N over t = -1 (both sums of x,
/// not negated):  t = fmaf(f32(P), a[c], fmaf(-f32(N), a_negative[c], b[c])).
struct Epilogue {
  View1<const float> a;           ///< [out]
  View1<const float> a_negative;  ///< [out], absent unless the grid has two steps
  View1<const float> b;           ///< [out]
  float r = 0;                    ///< step of the shortcut / step of the output
  int32_t max_code = 255;
};

/// What a folding starts from; all of one layer, in real units.
struct FoldArgs {
  View1<const float> weight_step;  ///< [1] or [out]; 1 for a layer with f32 weights
  float x_step = 1;                ///< 1 for real x (the stem)
  float y_step = 1;
  View1<const float> gamma, beta, mean, var;  ///< batch norm, [out]
  float eps = 1e-5f;
};

/// The one function that computes epilogue constants, each operation rounded to f32 in this order:
///   g = gamma[c] / sqrtf(var[c] + eps)
///   a[c] = ((weight_step[c] * x_step) * g) / y_step
///   b[c] = fmaf(-mean[c], g, beta[c]) / y_step
/// a, b: [out]. TTQ calls it twice, once a step, and takes b from either.
void fold_epilogue(const FoldArgs& args, View1<float> a, View1<float> b);

}  // namespace apprentice::kernels
