#pragma once

#include <string_view>
#include <type_traits>

#include <apprentice/base/view.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// GEMM of 8-bit activation codes with 2- or 4-bit weight codes, accumulated in s32 (exact), and
/// the epilogue (kernels/epilogue.h) that makes codes of it:
///   acc[i,j] = sum_k x[i,k] * t[j,k],   y[i,j] = epilogue(acc[i,j], residual[i,j])
///   x             [m, k] u8 or s8
///   weight        [n, k] packed codes
///   acc           [m, n] s32, or absent
///   acc_negative  [m, n] s32: two_step only, or absent
///   residual      [m, n] u8 codes, or absent
///   y             [m, n] u8 codes, or absent; at least one of acc and y is wanted
/// `two_step` and `prepacked` as in kernels/lowbit_conv2d.h. Outputs must not alias inputs.
template <class X, int Bits>
struct LowbitGemm {
  static constexpr bool is_signed = std::is_signed_v<X>;
  static constexpr std::string_view name = Bits == 2 ? "ternary_gemm" : "int4_gemm";
  static constexpr std::string_view types =
      Bits == 2 ? (is_signed ? "s8w2" : "u8w2") : (is_signed ? "s8w4" : "u8w4");
  struct Args {
    View2<const X> x;
    PackedCodes<Bits> weight;
    bool two_step = false;
    const Prepacked* prepacked = nullptr;
    View2<int32_t> acc, acc_negative;
    Epilogue epilogue;
    View2<const uint8_t> residual;
    View2<uint8_t> y;
  };
};
template <class X>
using TernaryGemm = LowbitGemm<X, 2>;
template <class X>
using Int4Gemm = LowbitGemm<X, 4>;

}  // namespace apprentice::kernels
