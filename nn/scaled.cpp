#include <apprentice/nn/scaled.h>

#include <apprentice/core/ops/arithmetic.h>

namespace apprentice::nn {

Scaled centred(const Scaled& x) {
  if (x.zero_point == 0) return x;
  return {x.data - double(x.zero_point), x.step, x.max_code - x.zero_point};
}

Tensor real(const Scaled& x) {
  if (!x.coded()) return x.data;
  return centred(x).data * x.step.reshape(Shape{}).to(x.data.dtype());
}

}  // namespace apprentice::nn
