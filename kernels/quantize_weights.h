#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Codes, scales and counts of any number of weights at once, as the operations on one weight
/// (quantize.h) give them. A weight is rows that share a scale: one a layer, or one a channel.
///   Rule::mean     t = f32(factor * mean|w| of the row),  Rule::max   t = f32(factor * max|w|):
///                  code = +1 where w > t, -1 where w < -t, else 0;
///                  scale = mean of |w| where the code is not 0, 1 where there is no such code
///   Rule::uniform  code = clamp(rint(w * factor), -factor, factor), half to even;
///                  scale = 1 / factor
///   w, codes  [rows, k]; codes held in f32
///   scale     [rows], or absent
///   zeros     [1], or absent: += how many codes are 0
///   flips     [2], or absent: += how many codes have another sign (-, 0, +) than `codes` held,
///             and += how many codes there are
/// Sums in double, mean and max rounded to f32 once. The counts are added to what is there, so one
/// look tells of all the steps since they were set to 0. The list is host memory, read before run()
/// returns.
struct QuantizeWeights {
  static constexpr std::string_view name = "quantize_weights", types = "f32";
  enum class Rule : int32_t { mean, max, uniform };
  struct Weight {
    View2<const float> w;
    View2<float> codes;
    Rule rule = Rule::mean;
    double factor = 1;
    View1<float> scale{};
    View1<int64_t> zeros{}, flips{};
  };
  struct Args {
    std::span<const Weight> weights;
  };
};

}  // namespace apprentice::kernels
