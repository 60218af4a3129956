#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <apprentice/base/view.h>
#include <apprentice/kernels/number.h>

namespace apprentice::kernels {

/// Global average pooling of activation codes, the same bits in every kernel (docs/numerics.md,
/// rule 4): the sum is an s32, and the one constant is rounded to f32 before it is used.
///   y[n,c] = f32(sum_{h,w} x[n,h,w,c]) * (step / f32(height * width))
///   x  [n, height, width, c] codes: T = u8, or f32 holding integers in [0, 255]
///   y  [n, c] f32, in the unit of `step`
template <class T>
struct OrderedPool {
  static_assert(std::is_same_v<T, uint8_t> || std::is_same_v<T, float>);
  static constexpr std::string_view name = "ordered_pool";
  static constexpr std::string_view types = std::is_same_v<T, float> ? "f32" : "u8";
  struct Args {
    View4<const T> x;
    Number<float> step = 1;
    View2<float> y;
  };
};

}  // namespace apprentice::kernels
