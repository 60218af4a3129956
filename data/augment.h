#pragma once

#include <string>

#include <apprentice/kernels/augment_images.h>

namespace apprentice::data {

using kernels::Augmentation;
using kernels::draw_transform;
using kernels::Transform;

/// "none", or "shift_mirror" (max_shift 4 and mirror); ConfigError otherwise.
Augmentation augmentation(const std::string& name);

}  // namespace apprentice::data
