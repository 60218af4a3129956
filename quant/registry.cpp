#include <utility>

#include <apprentice/quant/registry_internal.h>

namespace apprentice {
void load_quant_units();
}

namespace apprentice::quant {

void load_registrations() {
  // Registration itself asks for the registry: the thread that registers must not wait for itself.
  static thread_local bool entered = false;
  if (std::exchange(entered, true)) return;
  load_quant_units();
}

}  // namespace apprentice::quant
