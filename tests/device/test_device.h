#pragma once

#include <cstdint>

#include <apprentice/base/device.h>

namespace apprentice {

/// The device that the cases here are about: the emulated one, registered at the first call, or, in
/// gpu_device_tests, the first GPU. Cases that count what only the emulated one counts are tagged
/// [emulated].
///
/// In what order the streams of a recorded graph run there: as they were given, or, as far as its
/// events allow, each as early or as late as can be, or a piece of each in turn. Results that
/// depend on it show that one stream does not wait for what it needs of another.
enum class GraphOrder { given, first_stream_first, last_stream_first, in_turn };

#if defined(APPRENTICE_GPU_TESTS)
inline Device test_device() { return {Device::Kind::cuda, 0}; }
inline int64_t emulated_waits() { return 0; }
inline void set_emulated_order(GraphOrder) {}
#else
void load_emulated_units();

inline Device test_device() {
  load_emulated_units();
  return {Device::Kind::emulated, 0};
}

/// How often the host has waited for the emulated device so far, for its queues or its memory.
int64_t emulated_waits();

/// Of launches from now on.
void set_emulated_order(GraphOrder order);
#endif

}  // namespace apprentice
