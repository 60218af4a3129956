#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <apprentice/base/shape.h>

namespace apprentice::kernels {

/// y[sum_j i_j y_steps_j] = x[sum_j i_j x_steps_j] for every index i, 0 <= i_j < sizes_j, j < rank.
///   x, y  elements of element_bytes = 1, 2, 4 or 8 bytes; steps in elements; no element of y twice
/// Permutes axes, and copies parts of tensors.
struct StridedCopy {
  static constexpr std::string_view name = "strided_copy", types = "bytes";
  using Numbers = std::array<int64_t, Shape::kMaxRank>;
  struct Args {
    const void* x;
    void* y;
    int element_bytes = 4;
    int rank = 0;
    Numbers sizes{}, x_steps{}, y_steps{};

    constexpr int64_t numel() const {
      int64_t n = 1;
      for (int i = 0; i < rank; ++i) n *= sizes[size_t(i)];
      return n;
    }
  };
};

/// Steps of the axes of a dense row-major tensor.
StridedCopy::Numbers dense_steps(const Shape& shape);

/// Calls fn.template operator()<E>() with an unsigned integer E of so many bytes.
template <class Fn>
void with_element(int bytes, Fn&& fn) {
  switch (bytes) {
    case 1:
      return fn.template operator()<uint8_t>();
    case 2:
      return fn.template operator()<uint16_t>();
    case 4:
      return fn.template operator()<uint32_t>();
    default:
      return fn.template operator()<uint64_t>();
  }
}

}  // namespace apprentice::kernels
