#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

/// A barrier in shared memory: a phase ends when `arrivals` threads have arrived and all bytes that
/// they announced have come. From sm_90 on.
SIMT_FN void mbarrier_init(uint64_t* barrier, uint32_t arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0],%1;" ::"r"(shared_address(barrier)),
               "r"(arrivals)
               : "memory");
}
/// Makes initialised barriers visible to the copy engine; the block's barrier comes after it.
SIMT_FN void mbarrier_fence_init() {
  asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}
SIMT_FN void mbarrier_arrive(uint64_t* barrier) {
  asm volatile("mbarrier.arrive.shared::cta.b64 _,[%0];" ::"r"(shared_address(barrier)) : "memory");
}
/// Arrives and announces `bytes` that copies will bring.
SIMT_FN void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes) {
  asm volatile(
      "mbarrier.arrive.expect_tx.shared::cta.b64 _,[%0],%1;" ::"r"(shared_address(barrier)),
      "r"(bytes)
      : "memory");
}
/// Waits until the phase of this parity (0 for the first, 1 for the second, 0, ...) has ended.
SIMT_FN void mbarrier_wait(uint64_t* barrier, uint32_t parity) {
  uint32_t done;
  do {
    asm volatile(
        "{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p,[%1],%2; selp.u32 %0,1,0,p; }"
        : "=r"(done)
        : "r"(shared_address(barrier)), "r"(parity)
        : "memory");
  } while (!done);
}
/// Orders the thread's own writes to shared memory before reads of the copy engine and wgmma.
SIMT_FN void fence_async_proxy() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

/// One thread copies `bytes` (a multiple of 16, addresses too) from global to shared memory; they
/// count at the barrier.
SIMT_FN void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0],[%1],%2,[%3];" ::"r"(
          shared_address(to)),
      "l"(from), "r"(bytes), "r"(shared_address(barrier))
      : "memory");
}

}  // namespace api_dev
}  // namespace apprentice::simt
