#pragma once

#include <cstddef>
#include <memory>

#include <apprentice/base/device.h>

namespace apprentice {

/// Memory of a device, on the host aligned to 64 bytes, not initialised. Freed blocks are kept by
/// size class and handed out again, so a training step that repeats itself does not ask the system
/// for memory. On other devices than the CPU it belongs to the current stream (device_allocator.h).
/// Throws Error naming the size if there is no more.
class Buffer {
 public:
  explicit Buffer(size_t bytes, Device device = {});
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  void* data_;
  size_t bytes_;
  Device device_;
};

/// What buffers take, in bytes.
struct MemoryUse {
  size_t live;    ///< held by buffers now
  size_t peak;    ///< the most that was ever live
  size_t cached;  ///< freed, and kept for the next buffer
};
/// Of the buffers of this process on the host.
MemoryUse memory_use();
/// Gives the kept blocks of the host back to the system.
void release_cached_memory();

}  // namespace apprentice
