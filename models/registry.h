#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include <apprentice/base/registry.h>
#include <apprentice/nn/module.h>

namespace apprentice {

struct ModelOptions {
  int64_t classes = 0;  ///< 0: as many as the architecture usually has (CIFAR 10, ImageNet 1000)
  double width = 1;     ///< factor on the number of channels
  uint64_t seed = 0;    ///< of the initial weights

  int64_t classes_or(int64_t usual) const { return classes > 0 ? classes : usual; }
};

/// What an architecture registers.
struct Architecture {
  std::function<std::shared_ptr<nn::TensorModule>(const ModelOptions&)> make;
  int64_t side = 32;  ///< pixels a side of the images it is meant for
};

/// Every architecture by name, those of this library included.
Registry<Architecture>& models();
/// The entry of `arch`, which may carry a description: its first word counts ("resnet20 (CIFAR,
/// ...)"). ConfigError naming the nearest architecture if there is none such.
const Architecture& architecture(const std::string& arch);
/// A new model with initial weights, in train mode; `arch` as in architecture().
std::shared_ptr<nn::TensorModule> make_model(const std::string& arch,
                                             const ModelOptions& options = {});

}  // namespace apprentice
