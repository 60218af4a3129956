#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice::nn {

/// What flows between quantizable layers: real value = step * (data - zero_point). An undefined
/// step means that data holds the real values; else data holds integer codes (numerics, rule 2: an
/// activation is quantized once, where it is produced, and every consumer reads those codes). Data
/// is f32, or in training bf16, which holds codes of up to 8 bits exactly (core/precision.h).
struct Scaled {
  Tensor data;
  Tensor step;             ///< [1], not differentiated
  int64_t max_code = 0;    ///< codes lie in [0, max_code]; 0 without a step
  int64_t zero_point = 0;  ///< code of the value 0; not 0 where values have both signs
  Tensor bytes{};          ///< undefined, or the codes in u8, for kernels that read them so

  bool coded() const { return step.defined(); }
};

/// The same values on codes around 0: those of x where its zero point is 0. Differentiable in data.
Scaled centred(const Scaled& x);
/// step * (data - zero_point), differentiable in data; f32 of codes in bf16.
Tensor real(const Scaled& x);

/// The same with data in f32 where it is bf16. Differentiable in data.
Scaled widened(const Scaled& x);

}  // namespace apprentice::nn
