#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Codes held in f32 as bytes: y[i] = uint8_t(x[i]); x holds integers 0 to 255. Both [n].
struct CodesToBytes {
  static constexpr std::string_view name = "codes_to_bytes", types = "f32u8";
  struct Args {
    View1<const float> x;
    View1<uint8_t> y;
  };
};

}  // namespace apprentice::kernels
