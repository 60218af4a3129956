#pragma once

#include <apprentice/kernels/quantize_weights.h>

namespace apprentice::kernels {

/// The reference of QuantizeWeights, which those of optimizers end with.
void quantize_weights_by_reference(const QuantizeWeights::Args& args);

}  // namespace apprentice::kernels
