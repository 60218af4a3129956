#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

/// Copies Bytes (4, 8 or 16, and both addresses aligned to it) from global to shared memory without
/// waiting; of the source only the first `source_bytes` are read, the rest becomes 0. 16 bytes go
/// by L2 alone.
template <int Bytes = 16>
SIMT_FN void cp_async(void* to, const void* from, int source_bytes = Bytes) {
  static_assert(Bytes == 4 || Bytes == 8 || Bytes == 16);
  if constexpr (Bytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0],[%1],16,%2;" ::"r"(shared_address(to)), "l"(from),
                 "r"(source_bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0],[%1],%2,%3;" ::"r"(shared_address(to)), "l"(from),
                 "n"(Bytes), "r"(source_bytes)
                 : "memory");
  }
}
/// Closes the group of copies that the thread has begun.
SIMT_FN void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
/// Waits until at most N of the thread's groups are under way.
template <int N>
SIMT_FN void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}

}  // namespace api_dev
}  // namespace apprentice::simt
