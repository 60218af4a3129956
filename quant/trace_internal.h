#pragma once

#include <string>
#include <vector>

#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/quant/prepare.h>

namespace apprentice::quant {

/// One fused layer, or max pooling of codes, in one eval forward.
struct TracedLayer {
  Layer layer;  ///< of a pooling: `module` is the nn::MaxPool2d, `fused` null
  nn::Observation seen;
};

struct TracedForward {
  std::vector<TracedLayer> layers;  ///< in the order of computation
  Tensor logits;
};

/// Eval forward of x outside the graph, with what every fused layer and max pooling saw. All of it
/// stays in memory: about 1.5 MB an image for a CIFAR ResNet-20, 90 MB for a ResNet-50 at 224
/// pixels. The mode of the model is left as it was.
TracedForward traced_forward(nn::TensorModule& model, const Tensor& x);

}  // namespace apprentice::quant
