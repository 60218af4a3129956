#include <apprentice/quant/activation_quantizer.h>

#include <apprentice/quant/registry_internal.h>

namespace apprentice::quant {

Registry<ActivationMethod>& activation_quantizers() {
  static Registry<ActivationMethod> registry("activation quantizer");
  load_registrations();
  return registry;
}

}  // namespace apprentice::quant
