#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// y[i] = the bits of the bf16 nearest to x[i], ties to even; a NaN stays one. x, y [n].
struct RoundToBf16 {
  static constexpr std::string_view name = "round_to_bf16", types = "f32";
  struct Args {
    View1<const float> x;
    View1<uint16_t> y;
  };
};

}  // namespace apprentice::kernels
