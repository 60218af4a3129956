#pragma once

#include <cstddef>
#include <memory>

#include <apprentice/base/device.h>

namespace apprentice {

class StreamEvent;

/// Host memory that a device copies from and to without making the host wait. Blocks are kept and
/// handed out again once the stream that used them is past that use.
class PinnedBuffer {
 public:
  /// DeviceError naming the size if the system has no more.
  PinnedBuffer(size_t bytes, Device device);
  ~PinnedBuffer();
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  /// Work given to `stream` so far reads or writes the block: it is kept until that is done. All
  /// work on a block is in one stream; DeviceError for a second one.
  void used_in(Stream stream);

 private:
  Device device_;
  size_t bytes_;
  void* data_;
  Stream stream_;
  std::unique_ptr<StreamEvent> past_;  ///< its use in that stream; null: none
};

}  // namespace apprentice
