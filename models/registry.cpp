#include <apprentice/models/registry.h>

#include <utility>

namespace apprentice {

/// Generated: registers every architecture of this library.
void load_models_units();

Registry<Architecture>& models() {
  static Registry<Architecture> registry("model");
  // Registration itself asks for the registry: it must not wait for itself.
  static thread_local bool entered = false;
  if (!std::exchange(entered, true)) load_models_units();
  return registry;
}

const Architecture& architecture(const std::string& arch) {
  return models().get(arch.substr(0, arch.find(' ')));
}

std::shared_ptr<nn::TensorModule> make_model(const std::string& arch, const ModelOptions& options) {
  return architecture(arch).make(options);
}

}  // namespace apprentice
