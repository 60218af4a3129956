#include <cstring>

#include <apprentice/kernels/simt/emulated/mbarrier.h>
#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

namespace {

/// What the 64 bits of a barrier hold. Hardware keeps its own form; programs do not look inside.
struct BarrierState {
  uint32_t pending, arrivals;  ///< 20 bits each
  int32_t bytes;               ///< announced less come: 23 bits
  bool phase;

  explicit BarrierState(uint64_t bits)
      : pending(bits & 0xfffff),
        arrivals(bits >> 20 & 0xfffff),
        bytes(int32_t(uint32_t(bits >> 40) << 9) >> 9),
        phase(bits >> 63) {}
  uint64_t bits() const {
    return pending | uint64_t(arrivals) << 20 | uint64_t(uint32_t(bytes) & 0x7fffff) << 40 |
           uint64_t(phase) << 63;
  }
};

void update(uint64_t* barrier, uint32_t arrivals, int32_t bytes) {
  BarrierState state(*barrier);
  if (arrivals > state.pending) {
    remember_fault(fmt::format("mbarrier: more arrivals than its {}", state.arrivals));
    return;
  }
  state.pending -= arrivals;
  state.bytes += bytes;
  if (state.pending == 0 && state.bytes == 0) {
    state.phase = !state.phase;
    state.pending = state.arrivals;
    engine->wake_polling();
  }
  *barrier = state.bits();
}

}  // namespace

void mbarrier_init(uint64_t* barrier, uint32_t arrivals, const Site& site) {
  require_shared(barrier, 8, "mbarrier_init", site);
  check_aligned(barrier, 8, site);
  if (arrivals == 0 || arrivals >= 1u << 20)
    fail(site, "mbarrier_init: {} arrivals, expected 1 to 1048575", arrivals);
  *barrier = uint64_t(arrivals) | uint64_t(arrivals) << 20;
  if (checker) checker->access(*self(), barrier, 8, Access::write, place_of(site), true);
}

void mbarrier_arrive(uint64_t* barrier, uint32_t bytes, const Site& site) {
  require_shared(barrier, 8, "mbarrier_arrive", site);
  if (bytes >= 1u << 20)
    fail(site, "mbarrier_arrive_expect: {} bytes, at most 1048575 are possible", bytes);
  if (checker) checker->release(self()->linear, barrier);
  update(barrier, 1, int32_t(bytes));
}

void mbarrier_wait(uint64_t* barrier, uint32_t parity, const Site& site) {
  require_shared(barrier, 8, "mbarrier_wait", site);
  while (BarrierState(*barrier).phase == bool(parity & 1)) {
    engine->polling.push_back(self());
    engine->wait(self(), Thread::State::waiting, "mbarrier_wait", site);
  }
  if (checker) checker->acquire(self()->linear, barrier);
}

void fence_async_proxy() {
  if (checker) checker->proxy_fence(self()->linear, false);
}

void mbarrier_fence_init() {
  if (checker) checker->proxy_fence(self()->linear, true);
}

void complete(const BulkCopy& copy) {
  for (const Segment& s : copy.segments) {
    if (s.from) {
      std::memcpy(s.to, s.from, s.bytes);
    } else {
      std::memset(s.to, 0, s.bytes);
    }
    if (checker) checker->copy_ends(engine->threads[copy.thread], s.to, s.bytes, Proxy::async);
  }
  if (checker) checker->release(copy.thread, copy.barrier);
  update(copy.barrier, 0, -int32_t(copy.bytes));
}

void start_copy(BulkCopy copy) {
  if (engine->arrives_at_once()) {
    complete(copy);
  } else {
    engine->bulk_copies.push_back(std::move(copy));
  }
}

void bulk_copy(void* to, const void* from, uint32_t bytes, uint64_t* barrier, const Site& site) {
  if (bytes % 16 || !bytes) fail(site, "bulk_copy: {} bytes, expected a multiple of 16", bytes);
  check_aligned(to, 16, site);
  check_aligned(from, 16, site);
  require_shared(to, bytes, "bulk_copy", site);
  require_shared(barrier, 8, "bulk_copy", site);
  if (checker) {
    const void* place = place_of(site);
    checker->access(*self(), from, bytes, Access::read, place, false);
    checker->access(*self(), to, bytes, Access::write, place, false);
    checker->copy_begins(to, bytes);
    checker->barrier_is_used(barrier, place);
  }
  const Segment whole{static_cast<char*>(to), static_cast<const char*>(from), bytes};
  start_copy({{whole}, bytes, barrier, self()->linear});
}

}  // namespace apprentice::simt::emu
