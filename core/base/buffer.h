#pragma once

#include <cstddef>
#include <memory>

namespace apprentice {

/// Memory on the host, aligned to 64 bytes, not initialised. Freed blocks are kept by size class
/// and handed out again, so a training step that repeats itself does not ask the system for memory.
/// Throws Error naming the size if the system has no more.
class Buffer {
 public:
  explicit Buffer(size_t bytes);
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }

 private:
  void* data_;
  size_t bytes_;
};

/// What the buffers of this process take, in bytes.
struct MemoryUse {
  size_t live;    ///< held by buffers now
  size_t peak;    ///< the most that was ever live
  size_t cached;  ///< freed, and kept for the next buffer
};
MemoryUse memory_use();
/// Gives the kept blocks back to the system.
void release_cached_memory();

}  // namespace apprentice
