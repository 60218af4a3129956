#include <apprentice/nn/relu.h>

#include <apprentice/core/ops/activation.h>

namespace apprentice::nn {

Tensor ReLU::forward(const Tensor& x) { return relu(x); }

}  // namespace apprentice::nn
