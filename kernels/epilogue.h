#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>
#include <type_traits>

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

/// clamp(rint(t), 0, max_code), half to even; NaN gives 0.
inline int32_t round_to_code(float t, int32_t max_code) {
  const float low = t > 0 ? t : 0;
  const float top = float(max_code);
  return int32_t(std::rint(low < top ? low : top));
}
/// The code of channel c before the shortcut; `acc` is f32 of an accumulator.
inline float epilogue_value(const Epilogue& e, int64_t c, float acc) {
  return std::fmaf(acc, e.a.data[c], e.b.data[c]);
}
/// The same of two steps; `positive` is P, `negative` is N.
inline float epilogue_value(const Epilogue& e, int64_t c, float positive, float negative) {
  const float b = std::fmaf(-negative, e.a_negative.data[c], e.b.data[c]);
  return std::fmaf(positive, e.a.data[c], b);
}
/// The shortcut's part.
inline float add_shortcut(const Epilogue& e, float t, float code) {
  return std::fmaf(code, e.r, t);
}

/// The epilogue as an operation of its own: codes of accumulators that lie in memory.
///   y[i,c] = epilogue(acc[i,c], acc_negative[i,c], residual[i,c])
///   acc           [m, c] T: s32, or f32 (sums of the stem, or integers held in f32)
///   acc_negative  [m, c] T, two steps only, else absent
///   residual      [m, c] codes C, or absent
///   y             [m, c] codes C: u8 where T = s32, f32 where T = f32; may be acc or residual
/// Exact: all kernels give the same codes; f32 and s32 agree where |acc| <= 2^24.
template <class T>
struct Requantize {
  static_assert(std::is_same_v<T, int32_t> || std::is_same_v<T, float>);
  using Code = std::conditional_t<std::is_same_v<T, float>, float, uint8_t>;
  static constexpr std::string_view name = "requantize";
  static constexpr std::string_view types = std::is_same_v<T, float> ? "f32" : "s32u8";
  struct Args {
    View2<const T> acc, acc_negative;
    Epilogue epilogue;
    View2<const Code> residual;
    View2<Code> y;
  };
};

/// What a folding starts from; all of one layer, in real units.
struct FoldArgs {
  View1<const float> weight_step;  ///< [1] or [out]; 1 for a layer with f32 weights
  float x_step = 1;                ///< 1 for real x (the stem)
  float y_step = 1;
  float y_zero = 0;         ///< code that stands for 0 in the output: 128 where it has a sign
  float r = 0;              ///< step of the shortcut / y_step
  float residual_zero = 0;  ///< code that stands for 0 in the shortcut
  View1<const float> gamma, beta, mean, var;  ///< batch norm, [out]
  float eps = 1e-5f;
};

/// The one function that computes epilogue constants, each operation rounded to f32 in this order:
///   g = gamma[c] / sqrtf(var[c] + eps)
///   a[c] = ((weight_step[c] * x_step) * g) / y_step
///   b[c] = fmaf(-residual_zero, r, fmaf(-mean[c], g, beta[c]) / y_step + y_zero)
/// a, b: [out]. TTQ calls it twice, once a step, and takes b from either.
void fold_epilogue(const FoldArgs& args, View1<float> a, View1<float> b);

}  // namespace apprentice::kernels
