#pragma once

#include <cstdint>
#include <string_view>
#include <type_traits>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Uniform codes as low-bit kernels read them:
///   codes = clamp(rint(x * inv_step), min_code, max_code), half to even; NaN becomes min_code
///   x [n], codes [n] u8 or s8; min_code <= max_code, both within the range of Code
/// Exact: all kernels give the same codes, which are those of QuantizeUniform (kernels/quantize.h).
template <class Code>
struct QuantizeCodes {
  static constexpr std::string_view name = "quantize_codes";
  static constexpr std::string_view types = std::is_signed_v<Code> ? "f32s8" : "f32u8";
  struct Args {
    View1<const float> x;
    View1<Code> codes;
    float inv_step = 1;
    int32_t min_code = 0, max_code = 127;
  };
};

}  // namespace apprentice::kernels
