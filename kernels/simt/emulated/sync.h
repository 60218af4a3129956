#pragma once

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
/// Returns the sum of `value` over the threads of the block.
int block_barrier(const char* name, int value, const Site& site);
void named_barrier(int id, int threads, bool wait, const Site& site);
void warp_barrier(uint32_t mask, const Site& site);
[[noreturn]] void trap(const Site& site);
}  // namespace emu

inline namespace api_emu {

inline unsigned lane_id() { return emu::current_thread->lane; }
inline unsigned linear_thread() { return emu::current_thread->linear; }

inline void sync_block(SIMT_SITE) { emu::block_barrier("sync_block", 0, site); }
inline int sync_block_count(bool p, SIMT_SITE) {
  return emu::block_barrier("sync_block_count", p, site);
}
inline void sync_named(int id, int threads, SIMT_SITE) {
  emu::named_barrier(id, threads, true, site);
}
inline void arrive_named(int id, int threads, SIMT_SITE) {
  emu::named_barrier(id, threads, false, site);
}
inline void sync_warp(uint32_t mask = full_mask, SIMT_SITE) { emu::warp_barrier(mask, site); }
inline void fence_block() {}
/// All threads of a launch are fibers of one host thread: only the compiler could reorder.
inline void fence_device() { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
[[noreturn]] inline void trap(SIMT_SITE) { emu::trap(site); }

}  // namespace api_emu
}  // namespace apprentice::simt
