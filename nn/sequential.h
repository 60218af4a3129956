#pragma once

#include <memory>
#include <vector>

#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Layers one after the other; their names are "0", "1", ...
class Sequential final : public TensorModule {
 public:
  Sequential() = default;
  explicit Sequential(const std::vector<std::shared_ptr<TensorModule>>& layers) {
    for (const auto& layer : layers) append(layer);
  }
  Sequential& append(std::shared_ptr<TensorModule> layer);
  Tensor forward(const Tensor& x) override;

  size_t size() const { return layers_.size(); }

 private:
  std::vector<std::shared_ptr<TensorModule>> layers_;
};

}  // namespace apprentice::nn
