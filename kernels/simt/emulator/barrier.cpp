#include <apprentice/kernels/simt/emulated/sync.h>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

void Engine::finish_barrier() {
  barrier_result = barrier_sum;
  barrier_count = barrier_sum = 0;
  ++statistics.barriers;
  for (auto& warp : warps) warp->at_barrier = false;
  if (checker) checker->all_met();
  for (unsigned i = 0; i < count; ++i)
    if (&threads[i] != self() && threads[i].state == Thread::State::at_barrier)
      make_ready(&threads[i]);
}

int block_barrier(const char* name, int value, const Site& site) {
  Engine& e = *engine;
  Warp& warp = *self()->warp;
  if (warp.at_barrier && !same(warp.barrier_site, site))
    fail(site, "divergent barrier: another thread of this warp waits at {}",
         text(warp.barrier_site));
  warp.at_barrier = true;
  warp.barrier_site = site;
  e.barrier_sum += value;
  if (++e.barrier_count == int(e.live)) {
    e.finish_barrier();
  } else {
    e.wait(self(), Thread::State::at_barrier, name, site);
  }
  return e.barrier_result;
}

void named_barrier(int id, int threads, bool wait, const Site& site) {
  Engine& e = *engine;
  Thread* me = self();
  if (id < 1 || id > 15) fail(site, "named barrier {}, expected 1 to 15", id);
  if (threads <= 0 || threads % 32)
    fail(site, "named barrier {} of {} threads, expected a multiple of 32", id, threads);
  NamedBarrier& b = e.named[id];
  if (b.arrived && b.expected != threads)
    fail(site, "named barrier {} of {} threads, others said {}", id, threads, b.expected);
  b.expected = threads;
  if (checker && !wait) checker->release(me->linear, &b);
  if (wait) b.waiting.push_back(me);
  if (++b.arrived < threads) {
    if (wait) e.wait(me, Thread::State::waiting, "sync_named", site);
    return;
  }
  std::vector<unsigned> met;
  for (Thread* t : b.waiting) {
    met.push_back(t->linear);
    if (t != me) e.make_ready(t);
  }
  if (checker) {
    for (unsigned t : met) checker->acquire(t, &b);
    checker->met(met.data(), int(met.size()));
  }
  b.waiting.clear();
  b.arrived = 0;
  ++e.statistics.barriers;
}

void trap(const Site& site) { fail(site, "trap"); }

}  // namespace apprentice::simt::emu
