#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace apprentice {

/// Where memory lies and kernels run. `emulated` is the host standing in for a GPU: the CUDA
/// kernels under the SIMT emulator, which only tests link.
struct Device {
  enum class Kind : uint8_t { cpu, cuda, emulated };
  Kind kind = Kind::cpu;
  int index = 0;

  bool is_cpu() const { return kind == Kind::cpu; }
  /// "cpu", "cuda:1".
  std::string str() const;
  /// The device of such a text; "cuda" is "cuda:0". ConfigError for any other text; whether the
  /// device exists is not asked.
  static Device parse(std::string_view text);
  friend bool operator==(const Device&, const Device&) = default;
};

inline constexpr int kDeviceKinds = 3;
/// "cpu", "cuda" or "emulated".
std::string_view name_of(Device::Kind kind);

/// An opaque queue of work on a device; the default one on the CPU runs at once. `handle` null is
/// the device's default queue.
struct Stream {
  Device device;
  void* handle = nullptr;
  friend bool operator==(const Stream&, const Stream&) = default;
};

}  // namespace apprentice
