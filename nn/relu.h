#pragma once

#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// y = max(x, 0), any shape.
class ReLU final : public TensorModule {
 public:
  Tensor forward(const Tensor& x) override;
};

}  // namespace apprentice::nn
