#include <apprentice/distill/method.h>

namespace apprentice {
void load_distill_units();
}

namespace apprentice::distill {

namespace {

Registry<MethodEntry>& registry() {
  static Registry<MethodEntry> methods("distillation method");
  return methods;
}

}  // namespace

Registry<MethodEntry>& methods() {
  // A unit's own call of methods(), while they are loaded, must not wait for that loading.
  static thread_local bool loading = false;
  if (!loading) {
    loading = true;
    load_distill_units();
    loading = false;
  }
  return registry();
}

}  // namespace apprentice::distill
