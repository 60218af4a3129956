#pragma once

#include <vector>

#include <apprentice/base/view.h>
#include <apprentice/kernels/simt/buffer.h>

namespace apprentice::testing {

/// Values that a host kernel and a device kernel both work on: each has its own copy, and their
/// views are made by the same call.
template <class T>
class Both {
 public:
  explicit Both(const std::vector<T>& values)
      : host(values), device_(simt::Buffer<T>::from(values)) {}

  template <size_t R>
  View<T, int(R)> on_host(const std::array<int64_t, R>& sizes) {
    return {host.data(), sizes};
  }
  template <size_t R>
  View<T, int(R)> on_device(const std::array<int64_t, R>& sizes) const {
    return {device_.data(), sizes};
  }
  std::vector<T> got() const { return device_.values(); }

  std::vector<T> host;

 private:
  simt::Buffer<T> device_;
};

}  // namespace apprentice::testing
