#include <apprentice/data/augment.h>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>

namespace apprentice::data {

Augmentation augmentation(const std::string& name) {
  if (name == "none") return {};
  check<ConfigError>(name == "shift_mirror", "augment: got '{}', expected none or shift_mirror",
                     name);
  return {.max_shift = 4, .mirror = true};
}

Transform draw_transform(const Augmentation& augmentation, uint64_t seed, int64_t epoch,
                         int64_t id) {
  Transform transform;
  if (augmentation.max_shift == 0 && !augmentation.mirror) return transform;
  Rng rng(seed, RngPurpose::augment, uint32_t(epoch), uint64_t(id));
  const auto shifts = uint32_t(2 * augmentation.max_shift + 1);
  transform.dy = int(rng.below(shifts)) - augmentation.max_shift;
  transform.dx = int(rng.below(shifts)) - augmentation.max_shift;
  transform.mirror = augmentation.mirror && rng.below(2) == 1;
  return transform;
}

}  // namespace apprentice::data
