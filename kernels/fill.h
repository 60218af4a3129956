#pragma once

#include <cstdint>
#include <string_view>

namespace apprentice::kernels {

/// y[i] = the element whose bytes are the low ones of `bits`, for 0 <= i < count.
///   y  elements of element_bytes = 1, 2, 4 or 8 bytes, dense
struct Fill {
  static constexpr std::string_view name = "fill", types = "bytes";
  struct Args {
    void* y;
    int element_bytes = 4;
    int64_t count = 0;
    uint64_t bits = 0;
  };
};

}  // namespace apprentice::kernels
