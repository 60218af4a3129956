#pragma once

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
void mbarrier_init(uint64_t* barrier, uint32_t arrivals, const Site& site);
void mbarrier_arrive(uint64_t* barrier, uint32_t bytes, const Site& site);
void mbarrier_wait(uint64_t* barrier, uint32_t parity, const Site& site);
void mbarrier_fence_init();
void fence_async_proxy();
void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier, const Site& site);
}  // namespace emu

inline namespace api_emu {

inline void mbarrier_init(uint64_t* barrier, uint32_t arrivals, SIMT_SITE) {
  emu::mbarrier_init(barrier, arrivals, site);
}
inline void mbarrier_fence_init() { emu::mbarrier_fence_init(); }
inline void mbarrier_arrive(uint64_t* barrier, SIMT_SITE) {
  emu::mbarrier_arrive(barrier, 0, site);
}
inline void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes, SIMT_SITE) {
  emu::mbarrier_arrive(barrier, bytes, site);
}
inline void mbarrier_wait(uint64_t* barrier, uint32_t parity, SIMT_SITE) {
  emu::mbarrier_wait(barrier, parity, site);
}
inline void fence_async_proxy() { emu::fence_async_proxy(); }
inline void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier, SIMT_SITE) {
  emu::bulk_copy(to, from, bytes, barrier, site);
}

}  // namespace api_emu
}  // namespace apprentice::simt
