#pragma once

#include <cstdint>

namespace apprentice {

/// Where memory lies and kernels run.
struct Device {
  enum class Kind : uint8_t { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

/// An opaque queue of work on a device; the default one on the CPU runs at once.
struct Stream {
  Device device;
  void* handle = nullptr;
};

}  // namespace apprentice
