#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

SIMT_FN unsigned lane_id() {
  unsigned lane;
  asm("mov.u32 %0, %%laneid;" : "=r"(lane));
  return lane;
}
/// Index of the thread in its block, x fastest.
SIMT_FN unsigned linear_thread() {
  return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
}

/// All threads of the block that have not returned.
SIMT_FN void sync_block() { __syncthreads(); }
/// The same; how many threads had p.
SIMT_FN int sync_block_count(bool p) { return __syncthreads_count(p); }
/// Barrier `id` (1..15) of `threads` (a multiple of 32) threads; arrive_named does not wait.
SIMT_FN void sync_named(int id, int threads) {
  asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
SIMT_FN void arrive_named(int id, int threads) {
  asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}
SIMT_FN void sync_warp(uint32_t mask = full_mask) { __syncwarp(mask); }
SIMT_FN void fence_block() { __threadfence_block(); }
SIMT_FN void fence_device() { __threadfence(); }
[[noreturn]] SIMT_FN void trap() { __trap(); }

}  // namespace api_dev
}  // namespace apprentice::simt
