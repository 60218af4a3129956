#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// exp(x/T - max) / sum, over the last axis.
Tensor softmax(const Tensor& x, float temperature = 1);
/// x/T - log sum exp(x/T), over the last axis.
Tensor log_softmax(const Tensor& x, float temperature = 1);

}  // namespace apprentice
