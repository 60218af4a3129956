#pragma once

#include <array>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/codes.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Convolution of u8 activation codes with 2- or 4-bit weight codes, accumulated in s32 (exact),
/// and the epilogue (kernels/epilogue.h) that makes codes of it:
///   acc[n,p,q,o] = sum_{r,s,i} x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, i] * t[o, (r*kw+s)*in + i]
///   y[n,p,q,o]   = epilogue(acc[n,p,q,o], residual), x = 0 outside the image
///   x             [n, h, w, in] u8; NHWC
///   weight        [out, kh*kw*in / groups] packed codes
///   acc           [n, p, q, out] s32, or absent
///   acc_negative  [n, p, q, out] s32: two_step only, or absent
///   acc_f32       [n, p, q, out] acc rounded to f32 once, or absent
///   residual      [n, rh, rw, rc] u8 codes, or absent; rc <= out. Read through option A (He et al.
///                 2015, section 4.2): pixel (p*d, q*d) with d = 1 if rh = p, else 2, where
///                 ceil(rh/d) = p; absent channels are code 0, (out-rc)/2 of them before, the rest
///                 after
///   y             [n, p, q, out] u8 codes, or absent; at least one of acc, acc_f32 and y is wanted
/// With `two_step` (TTQ) acc sums x over t = +1 and acc_negative x over t = -1 (not negated), and
/// the epilogue is that of two steps. Outputs must not alias inputs. No code in x exceeds `max_x`,
/// which the caller answers for: kernels that hold sums of codes in bytes take problems by it.
/// `prepacked` is what the chosen kernel's own `prepack` made of these weights and this geometry;
/// without it a kernel prepacks for this one call.
template <int Bits>
struct LowbitConv2d {
  static constexpr std::string_view name = Bits == 2 ? "ternary_conv2d" : "int4_conv2d";
  static constexpr std::string_view types = Bits == 2 ? "u8w2" : "u8w4";
  struct Args {
    View4<const uint8_t> x;
    int32_t max_x = 255;  ///< the largest code in x, at most 255
    PackedCodes<Bits> weight;
    std::array<int64_t, 2> kernel_size{1, 1};
    Conv2dGeometry geometry;
    bool two_step = false;
    const Prepacked* prepacked = nullptr;
    View4<int32_t> acc, acc_negative;
    View4<float> acc_f32;
    Epilogue epilogue;
    View4<const uint8_t> residual;
    View4<uint8_t> y;
  };
};
using TernaryConv2d = LowbitConv2d<2>;
using Int4Conv2d = LowbitConv2d<4>;

}  // namespace apprentice::kernels
