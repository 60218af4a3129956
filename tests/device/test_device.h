#pragma once

#include <cstdint>

#include <apprentice/base/device.h>

namespace apprentice {

/// The device that the cases here are about: the emulated one, registered at the first call, or, in
/// gpu_device_tests, the first GPU. Cases that count what only the emulated one counts are tagged
/// [emulated].
#if defined(APPRENTICE_GPU_TESTS)
inline Device test_device() { return {Device::Kind::cuda, 0}; }
inline int64_t emulated_waits() { return 0; }
#else
void load_emulated_units();

inline Device test_device() {
  load_emulated_units();
  return {Device::Kind::emulated, 0};
}

/// How often the host has waited for the emulated device so far, for its queues or its memory.
int64_t emulated_waits();
#endif

}  // namespace apprentice
