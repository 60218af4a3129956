#include <apprentice/distill/method.h>

namespace apprentice {
void load_distill_units();
}

namespace apprentice::distill {

void run_backward(StepResult& result) {
  if (result.backward)
    result.backward();
  else
    result.loss.backward();
  result.backward = nullptr;
}

Registry<MethodEntry>& methods() {
  static Registry<MethodEntry> registry("distillation method");
  load_distill_units();
  return registry;
}

}  // namespace apprentice::distill
