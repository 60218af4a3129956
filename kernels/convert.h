#pragma once

#include <cstdint>
#include <string_view>

#include <apprentice/base/view.h>
#include <apprentice/kernels/types.h>

namespace apprentice::kernels {

/// y[i] = x[i], From and To being f32 and bf16: to bf16 rounded to the nearest, ties to even, NaN
/// staying NaN; to f32 exact. x, y [n], apart from each other.
template <class From, class To>
struct Convert {
  static constexpr std::string_view name = "convert", types = layer_types_of<float, From, To>;
  struct Args {
    View1<const From> x;
    View1<To> y;
  };
};

}  // namespace apprentice::kernels
