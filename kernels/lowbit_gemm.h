#pragma once

#include <string>
#include <string_view>
#include <type_traits>

#include <apprentice/base/view.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/quantize_codes.h>

namespace apprentice::kernels {

/// GEMM of 8-bit activation codes with 2- or 4-bit weight codes, accumulated in s32 (exact), and
/// the epilogue (kernels/epilogue.h) that makes codes of it:
///   acc[i,j] = sum_k x[i,k] * t[j,k],   y[i,j] = epilogue(acc[i,j], residual[i,j])
///   x             [m, k] u8 or s8
///   real_x        [m, k] f32, in the place of x, whose codes they become on the way:
///                 x[i,k] = quantize_code(real_x[i,k], grid)  (kernels/quantize_codes.h)
///   weight        [n, k] packed codes
///   acc           [m, n] s32, or absent
///   acc_negative  [m, n] s32: two_step only, or absent
///   residual      [m, n] u8 codes, or absent
///   y             [m, n] u8 codes, or absent
/// One output at least is wanted. Outputs must not alias inputs.
///
/// Weights with a scale for each group of `group_size` columns (the last may be shorter) have an
/// accumulator a group, and constants for each in the place of the epilogue's a and a_negative:
///   t = b[j];  for g ascending:  t = fmaf(f32(acc_g[i,j]), group_a[g,j], t)
///   two steps:  t = fmaf(f32(P_g), group_a[g,j], fmaf(-f32(N_g), group_a_negative[g,j], t))
///   with a residual  t = fmaf(f32(residual[i,j]), r, t);   y[i,j] as the epilogue rounds t
///   group_a, group_a_negative  [groups, n], groups = k / group_size rounded up
///   value         [m, n] f32: t, unrounded, or absent; epilogue.b may be absent: 0
/// acc and acc_negative are absent then. group_size >= k gives each channel one scale.
///
/// `two_step` and `prepacked` as in kernels/lowbit_conv2d.h; prepacked weights belong to one
/// group_size.
template <class X, int Bits>
struct LowbitGemm {
  static constexpr bool is_signed = std::is_signed_v<X>;
  static constexpr std::string_view name = Bits == 2 ? "ternary_gemm" : "int4_gemm";
  static constexpr std::string_view types =
      Bits == 2 ? (is_signed ? "s8w2" : "u8w2") : (is_signed ? "s8w4" : "u8w4");
  struct Args {
    View2<const X> x;
    View2<const float> real_x;
    CodeGrid grid;
    PackedCodes<Bits> weight;
    bool two_step = false;
    int64_t group_size = 0;  ///< 0: no groups
    View2<const float> group_a, group_a_negative;
    const Prepacked* prepacked = nullptr;
    View2<int32_t> acc, acc_negative;
    Epilogue epilogue;
    View2<const uint8_t> residual;
    View2<uint8_t> y;
    View2<float> value;

    /// Rows of x.
    int64_t rows() const { return real_x ? real_x.size(0) : x.size(0); }
    /// What keeps a kernel from it that takes codes and has one scale an output, or "".
    std::string beyond_codes() const {
      return real_x ? "x is f32, expected codes" : group_size > 0 ? "groups have scales" : "";
    }
  };
};
template <class X>
using TernaryGemm = LowbitGemm<X, 2>;
template <class X>
using Int4Gemm = LowbitGemm<X, 4>;

}  // namespace apprentice::kernels
