#include <apprentice/nn/scaled.h>

#include <apprentice/core/ops/arithmetic.h>

namespace apprentice::nn {

Tensor real(const Scaled& x) {
  if (!x.coded()) return x.data;
  return x.data * x.step.reshape(Shape{}).to(x.data.dtype());
}

}  // namespace apprentice::nn
