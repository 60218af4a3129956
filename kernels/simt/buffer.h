#pragma once

#include <utility>
#include <vector>

#include <apprentice/kernels/simt/simt.h>

namespace apprentice::simt {
inline namespace SIMT_API {

/// Device memory of n elements of T, for tests: the same on a GPU and in the emulator. Starts as
/// bytes of 0xA5.
template <class T>
class Buffer {
 public:
  explicit Buffer(size_t n) : data_(static_cast<T*>(device_alloc(n * sizeof(T)))), size_(n) {}
  /// Holds what `values` (a std::vector or the like) holds.
  template <class Values>
  static Buffer from(const Values& values) {
    Buffer buffer(values.size());
    copy_to_device(buffer.data_, values.data(), values.size() * sizeof(T));
    return buffer;
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}
  Buffer& operator=(Buffer&&) = delete;
  ~Buffer() {
    if (data_) device_free(data_);
  }

  T* data() const { return data_; }
  size_t size() const { return size_; }
  /// A copy on the host; waits for all work of the device.
  std::vector<T> values() const {
    std::vector<T> out(size_);
    copy_to_host(out.data(), data_, size_ * sizeof(T));
    return out;
  }

 private:
  T* data_;
  size_t size_;
};

}  // namespace SIMT_API
}  // namespace apprentice::simt
