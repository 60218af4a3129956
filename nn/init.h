#pragma once

#include <apprentice/base/rng.h>
#include <apprentice/core/tensor.h>

namespace apprentice::nn {

/// Inputs and outputs that meet in one weight: [out, in] or [out, kh, kw, in]; a kernel's taps
/// count in both. ShapeError below two axes.
struct Fans {
  int64_t in, out;
};
Fans fans(const Shape& weight);

/// The draws below make new f32 tensors of the given weight shape, from `rng` in memory order.

/// Normal, deviation sqrt(2 / fan_in): He et al. 2015, "Delving deep into rectifiers", eq. 10.
Tensor kaiming_normal(const Shape& shape, Rng& rng);
/// Uniform with that deviation: +-sqrt(6 / fan_in).
Tensor kaiming_uniform(const Shape& shape, Rng& rng);
/// Normal, deviation sqrt(2 / (fan_in + fan_out)): Glorot and Bengio 2010, eq. 12.
Tensor xavier_normal(const Shape& shape, Rng& rng);
/// Uniform with that deviation: +-sqrt(6 / (fan_in + fan_out)), eq. 16.
Tensor xavier_uniform(const Shape& shape, Rng& rng);
/// Normal around 0, drawn again until within two deviations.
Tensor truncated_normal(const Shape& shape, float deviation, Rng& rng);

}  // namespace apprentice::nn
