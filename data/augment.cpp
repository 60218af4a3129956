#include <apprentice/data/augment.h>

#include <apprentice/base/error.h>

namespace apprentice::data {

Augmentation augmentation(const std::string& name) {
  if (name == "none") return {};
  check<ConfigError>(name == "shift_mirror", "augment: got '{}', expected none or shift_mirror",
                     name);
  return {.max_shift = 4, .mirror = true};
}

}  // namespace apprentice::data
