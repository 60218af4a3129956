#include <apprentice/models/registry.h>

#include <utility>

namespace apprentice {

/// Generated: registers every architecture of this library.
void load_models_units();

Registry<ModelFactory>& models() {
  static Registry<ModelFactory> registry("model");
  // Registration itself asks for the registry: it must not wait for itself.
  static thread_local bool entered = false;
  if (!std::exchange(entered, true)) load_models_units();
  return registry;
}

std::shared_ptr<nn::TensorModule> make_model(const std::string& arch, const ModelOptions& options) {
  return models().get(arch.substr(0, arch.find(' ')))(options);
}

}  // namespace apprentice
