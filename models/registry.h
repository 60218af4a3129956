#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <apprentice/base/registry.h>
#include <apprentice/nn/module.h>

namespace apprentice {

struct ModelOptions {
  int64_t classes = 10;
  double width = 1;   ///< factor on the number of channels
  uint64_t seed = 0;  ///< of the initial weights
};

using ModelFactory = std::function<std::shared_ptr<nn::TensorModule>(const ModelOptions&)>;

/// Every architecture by name, those of this library included.
Registry<ModelFactory>& models();
/// A new model with initial weights, in train mode. `arch` may carry a description: its first word
/// counts ("resnet20 (CIFAR, ...)"). ConfigError naming the nearest architecture if there is none
/// such.
std::shared_ptr<nn::TensorModule> make_model(const std::string& arch,
                                             const ModelOptions& options = {});

}  // namespace apprentice
