#include <apprentice/models/registry.h>

namespace apprentice {

/// Generated: registers every architecture of this library.
void load_models_units();

Registry<Architecture>& models() {
  static Registry<Architecture> registry("model");
  load_models_units();
  return registry;
}

const Architecture& architecture(const std::string& arch) {
  return models().get(arch.substr(0, arch.find(' ')));
}

std::shared_ptr<nn::TensorModule> make_model(const std::string& arch, const ModelOptions& options) {
  return architecture(arch).make(options);
}

}  // namespace apprentice
