#pragma once

#include <cmath>
#include <cstdint>

namespace apprentice::kernels {

/// How real activations become the codes that low-bit kernels read, as QuantizeUniform
/// (kernels/quantize.h) does. Both bounds are codes: -128 to 127 of s8, 0 to 255 of u8.
struct CodeGrid {
  float inv_step = 1;
  int32_t min_code = 0, max_code = 127;
};

/// clamp(rint(x * inv_step), min_code, max_code), half to even; NaN becomes min_code.
inline int32_t quantize_code(float x, const CodeGrid& grid) {
  const float t = x * grid.inv_step, low = float(grid.min_code), high = float(grid.max_code);
  return !(t > low) ? grid.min_code : t > high ? grid.max_code : int32_t(std::rint(t));
}

}  // namespace apprentice::kernels
