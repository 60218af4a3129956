#pragma once

#include <apprentice/base/device.h>

namespace apprentice {

void load_emulated_units();

/// The emulated device, registered at the first call.
inline Device emulated_device() {
  load_emulated_units();
  return {Device::Kind::emulated, 0};
}

}  // namespace apprentice
