#include <apprentice/quant/activation_quantizer.h>

namespace apprentice {
void load_quant_units();
}

namespace apprentice::quant {

Registry<ActivationMethod>& activation_quantizers() {
  static Registry<ActivationMethod> registry("activation quantizer");
  load_quant_units();
  return registry;
}

}  // namespace apprentice::quant
