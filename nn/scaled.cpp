#include <apprentice/nn/scaled.h>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/precision.h>

namespace apprentice::nn {

Scaled centred(const Scaled& x) {
  if (x.zero_point == 0) return x;
  return {x.data - double(x.zero_point), x.step, x.max_code - x.zero_point};
}

Tensor real(const Scaled& x) {
  if (!x.coded()) return x.data;
  const Tensor codes = widened(centred(x).data);  // the step has more digits than bf16
  return codes * x.step.reshape(Shape{}).to(codes.dtype());
}

Scaled widened(const Scaled& x) {
  Scaled wide = x;
  wide.data = apprentice::widened(x.data);
  return wide;
}

}  // namespace apprentice::nn
