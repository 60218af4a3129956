#pragma once

#include <string>
#include <vector>

#include <apprentice/quant/prepare.h>

namespace apprentice::distill {

/// What is wrong with a quantized layer, in words; empty if nothing is:
/// no weight code is 0, or at least 99 % of them are; a scale is not above 0 (TTQ learns its own);
/// more than half of the activations lie on the highest code.
std::vector<std::string> health_problems(const quant::LayerHealth& layer);

}  // namespace apprentice::distill
