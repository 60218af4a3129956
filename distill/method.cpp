#include <apprentice/distill/method.h>

namespace apprentice {
void load_distill_units();
}

namespace apprentice::distill {

Registry<MethodEntry>& methods() {
  static Registry<MethodEntry> registry("distillation method");
  load_distill_units();
  return registry;
}

}  // namespace apprentice::distill
