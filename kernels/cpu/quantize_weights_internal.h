#pragma once

#include <string>

#include <apprentice/kernels/quantize_weights.h>

namespace apprentice::kernels {

/// QuantizeWeights on all cores, which the optimizers' steps end with, and why it cannot, or "".
void quantize_weights_on_cpu(const QuantizeWeights::Args& args);
std::string refuse_quantize_weights(const QuantizeWeights::Args& args);

}  // namespace apprentice::kernels
