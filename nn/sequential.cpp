#include <apprentice/nn/sequential.h>

#include <string>

namespace apprentice::nn {

Sequential& Sequential::append(std::shared_ptr<TensorModule> layer) {
  layers_.push_back(add_module(std::to_string(layers_.size()), std::move(layer)));
  return *this;
}

Tensor Sequential::forward(const Tensor& x) {
  Tensor y = x;
  for (const auto& layer : layers_) y = layer->forward(y);
  return y;
}

}  // namespace apprentice::nn
