#pragma once

#include <functional>
#include <type_traits>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/stream.h>

namespace apprentice::tools {

/// The memory behind a problem's views on the device that its kernels run on; for the CPU, the
/// memory itself.
class DeviceCopies {
 public:
  explicit DeviceCopies(Device device) : device_(device) {}
  Device device() const { return device_; }

  /// The view of its elements there; absent if `host` is. What is not const is fetched.
  template <class V>
  V operator()(const V& host) {
    if (device_.is_cpu() || !host) return host;
    const size_t bytes = size_t(host.numel()) * sizeof(*host.data);
    Buffer& copy = *buffers_.emplace_back(std::make_unique<Buffer>(bytes, device_));
    copy_bytes(copy.data(), device_, host.data, {}, bytes, current_stream(device_));
    V there = host;
    there.data = static_cast<decltype(there.data)>(copy.data());
    if constexpr (!std::is_const_v<std::remove_pointer_t<decltype(host.data)>>)
      outputs_.push_back([this, from = copy.data(), to = host.data, bytes] {
        copy_bytes(to, {}, from, device_, bytes, current_stream(device_));
      });
    return there;
  }
  /// Copies what kernels wrote back to the host.
  void fetch() const {
    for (const auto& output : outputs_) output();
  }

 private:
  Device device_;
  std::vector<std::unique_ptr<Buffer>> buffers_;
  std::vector<std::function<void()>> outputs_;
};

}  // namespace apprentice::tools
