#pragma once

#include <array>
#include <functional>

#include <apprentice/core/tensor.h>

namespace apprentice::quant {

// A weight [out, ...] f32 as the rows that share a scale: one a layer, or one an output channel.
// What is made of it lies beside it. DtypeError for another type.

/// How many rows, and how long they are.
std::array<int64_t, 2> rows_of(const Tensor& w, bool per_channel);

/// Mean and largest |w| of each row, [rows]; sums in double, so independent of the number of
/// threads.
Tensor abs_mean(const Tensor& w, bool per_channel);
Tensor abs_max(const Tensor& w, bool per_channel);

/// Codes -1, 0, +1 (held in f32, shape of w) and the mean |w| of each kind of code of a row,
/// [rows]; 0 where there is none.
struct TernaryRows {
  Tensor codes, positive_mean, negative_mean, nonzero_mean;
};
/// +1 where w > t, -1 where w < -t, else 0, with t = factor * size of the row, rounded to f32 once.
TernaryRows ternarize(const Tensor& w, bool per_channel, const Tensor& size, double factor);

/// A new tensor of fn(row, w) for every element, on the CPU.
Tensor map_rows(const Tensor& w, bool per_channel,
                const std::function<float(int64_t row, float value)>& fn);

}  // namespace apprentice::quant
