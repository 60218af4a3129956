#pragma once

#include <string>
#include <type_traits>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

using Stream = cudaStream_t;
using Grid = dim3;

/// Throws DeviceError with `what` and the text of the code, unless the call succeeded.
inline void check_cuda(cudaError_t code, const std::string& what) {
  if (code != cudaSuccess) throw DeviceError(what + ": " + cudaGetErrorString(code));
}

/// Queues kernel(args...) with `shared_bytes` of dynamic shared memory; does not wait.
template <class... P, class... A>
void launch(void (*kernel)(P...), Grid grid, Grid block, size_t shared_bytes, Stream stream,
            A&&... args) {
  static_assert((std::is_trivially_copyable_v<P> && ...), "kernel parameters are copied as bytes");
  const void* entry = reinterpret_cast<const void*>(kernel);
  const auto called = [&](const char* call) {
    const char* name = nullptr;
    const bool named = cudaFuncGetName(&name, entry) == cudaSuccess;
    return std::string(call) + " of " + (named ? name : "a kernel");
  };
  constexpr size_t without_asking = 48 * 1024;
  if (shared_bytes > without_asking) {
    const auto code =
        cudaFuncSetAttribute(entry, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shared_bytes));
    if (code != cudaSuccess) check_cuda(code, called("shared memory"));
  }
  kernel<<<grid, block, shared_bytes, stream>>>(P(std::forward<A>(args))...);
  const auto code = cudaGetLastError();
  if (code != cudaSuccess) check_cuda(code, called("launch"));
}

/// Memory for tests and its copies, each call waiting; programs have their allocator.
inline void* device_alloc(size_t bytes) {
  void* p = nullptr;
  check_cuda(cudaMalloc(&p, bytes ? bytes : 1), "cudaMalloc");
  check_cuda(cudaMemset(p, 0xA5, bytes), "cudaMemset");
  return p;
}
inline void device_free(void* p) { cudaFree(p); }
inline void copy_to_device(void* to, const void* from, size_t bytes) {
  check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyHostToDevice), "cudaMemcpy");
}
inline void copy_to_host(void* to, const void* from, size_t bytes) {
  check_cuda(cudaMemcpy(to, from, bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
}

}  // namespace api_dev
}  // namespace apprentice::simt
