#pragma once

#include <cstdint>

#include <apprentice/base/device.h>

namespace apprentice {

void load_emulated_units();

/// The emulated device, registered at the first call.
inline Device emulated_device() {
  load_emulated_units();
  return {Device::Kind::emulated, 0};
}

/// How often the host has waited for the emulated device so far, for its queues or its memory.
int64_t emulated_waits();

}  // namespace apprentice
