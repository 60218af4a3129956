#pragma once

#include <functional>
#include <vector>

#include <apprentice/core/tensor.h>

namespace apprentice::quant {

/// A weight [out, ...] f32 as the rows that share a scale: one a layer, or one an output channel.
/// DtypeError for another type.

/// Mean and largest |w| of each row; sums in double, so independent of the number of threads.
std::vector<float> abs_mean(const Tensor& w, bool per_channel);
std::vector<float> abs_max(const Tensor& w, bool per_channel);

/// Codes -1, 0, +1 (held in f32, shape of w) and the mean |w| of each kind of code of a row; 0
/// where there is none.
struct TernaryRows {
  Tensor codes;
  std::vector<float> positive_mean, negative_mean, nonzero_mean;
};
/// +1 where w > threshold of its row, -1 where w < -threshold, else 0.
TernaryRows ternarize(const Tensor& w, bool per_channel, const std::vector<float>& threshold);

/// A new tensor of fn(row, w) for every element.
Tensor map_rows(const Tensor& w, bool per_channel,
                const std::function<float(int64_t row, float value)>& fn);

}  // namespace apprentice::quant
