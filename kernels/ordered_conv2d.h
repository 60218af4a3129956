#pragma once

#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/conv2d.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels {

/// Convolution of real activations in one fixed order, so that every kernel gives the same bits
/// (docs/numerics.md, rule 4); the stem of a quantized network:
///   sum = 0;  for r, s, i ascending, taps outside the image skipped:
///   sum = fmaf(x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, i], w[o,r,s,i], sum)
///   y = epilogue(sum) with one step and no shortcut
///   x     [n, h, w, in] f32
///   w     [out, kh, kw, in] f32; groups must be 1
///   sums  [n, p, q, out] f32, or absent
///   y     [n, p, q, out] u8 codes, or absent; needs the epilogue
/// Outputs must not alias inputs. Sizes must fit; no kernel checks them. `prepacked` is what the
/// chosen kernel's own `prepack`, if it has one, made of these weights; without it a kernel
/// prepacks for this one call.
struct OrderedConv2d {
  static constexpr std::string_view name = "ordered_conv2d", types = "f32";
  struct Args {
    View4<const float> x, w;
    const Prepacked* prepacked = nullptr;
    Conv2dGeometry geometry;
    View4<float> sums;
    Epilogue epilogue;
    View4<uint8_t> y;
  };
};

}  // namespace apprentice::kernels
