#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

constinit thread_local ThreadContext* current_thread = nullptr;
thread_local Engine* engine = nullptr;

uint64_t random_number(uint64_t& state) {  // splitmix64
  state += 0x9e3779b97f4a7c15u;
  uint64_t z = state;
  z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
  z = (z ^ z >> 27) * 0x94d049bb133111ebu;
  return z ^ z >> 31;
}

Engine::Engine() {
  void* p = mmap(nullptr, arena_bytes + 2 * canary_bytes, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(p != MAP_FAILED, "emulator: no memory for shared memory");
  arena = static_cast<char*>(p) + canary_bytes;
}

void Engine::make_ready(Thread* thread) {
  thread->state = Thread::State::ready;
  ring[(ring_head + ring_count++) % ring.size()] = thread;
}

Thread* Engine::take_ready() {
  if (ring_count == 0) return nullptr;
  const Order order = settings().threads;
  if (order == Order::random)
    std::swap(ring[ring_head],
              ring[(ring_head + random_number(random) % ring_count) % ring.size()]);
  --ring_count;
  if (order == Order::greedy) return ring[(ring_head + ring_count) % ring.size()];
  Thread* thread = ring[ring_head];
  ring_head = (ring_head + 1) % ring.size();
  return thread;
}

void Engine::leave(Thread* thread, bool dying) {
  Thread* next = failed ? nullptr : take_ready();
  ++statistics.switches;
  current_thread = next;
  switch_fiber(thread->fiber, next ? next->fiber : os, dying);
}

void Engine::wait(Thread* thread, Thread::State state, const char* doing, const Site& site) {
  thread->state = state;
  thread->doing = doing;
  thread->where = site;
  leave(thread, false);
}

bool Engine::arrives_at_once() {
  const Arrival arrival = settings().arrival;
  return arrival == Arrival::eager || (arrival == Arrival::random && (random_number(random) & 1));
}

void Engine::wake_polling() {
  for (Thread* thread : polling) make_ready(thread);
  polling.clear();
}

void Engine::thread_returned(Thread* thread) {
  thread->state = Thread::State::done;
  thread->warp->present &= ~(1u << thread->lane);
  if (--live && barrier_count == int(live)) finish_barrier();
  leave(thread, true);
}

/// The first frame of every fiber.
static void run_thread() {
  fiber_entered();
  Engine& e = *engine;
  Thread* thread = self();
  try {
    e.body(e.arguments);
  } catch (const std::exception& error) {
    if (!e.failed) e.message = error.what();
    e.failed = true;
  }
  e.thread_returned(thread);
  std::abort();
}

void Engine::deadlock() {
  std::map<std::string, std::pair<unsigned, const Thread*>> groups;
  for (unsigned i = 0; i < count; ++i) {
    const Thread& t = threads[i];
    const bool done = t.state == Thread::State::done;
    auto& group = groups[done ? "returned" : fmt::format("{} at {}", t.doing, text(t.where))];
    if (!group.first++) group.second = &t;
  }
  std::string message = "deadlock:";
  for (const auto& [what, group] : groups)
    message +=
        fmt::format(" [{} thread(s), first {}: {}]", group.first, describe(*group.second), what);
  throw Fault(message);
}

void Engine::reset(const Index3& block, const Index3& block_size, const Index3& grid_size,
                   size_t shared_bytes) {
  count = live = block_size.x * block_size.y * block_size.z;
  const unsigned warp_count = (count + 31) / 32;
  while (warps.size() < warp_count) warps.push_back(std::make_unique<Warp>());
  for (auto& warp : warps) {
    warp->present = 0;
    warp->at_barrier = false;
    for (Collective& c : warp->pending) c.arrived = c.mask = 0;
  }
  warpgroups.assign((warp_count + 3) / 4, Warpgroup{});
  for (NamedBarrier& b : named) b = NamedBarrier{};
  ring_head = ring_count = 0;
  barrier_count = barrier_sum = 0;
  bulk_copies.clear();
  polling.clear();
  failed = false;
  message.clear();
  reset_shared(shared_bytes);

  const size_t old = threads.size();
  if (old < count) {
    threads.resize(count);
    ring.resize(count + 1);
    // ASan's redzones take a good part of a stack.
    for (size_t i = old; i < count; ++i)
      allocate_stack(threads[i].fiber, settings().stack_bytes * (under_asan ? 4 : 1));
  }
  for (unsigned i = 0; i < count; ++i) {
    Thread& t = threads[i];
    t.thread = {i % block_size.x, i / block_size.x % block_size.y,
                i / (block_size.x * block_size.y)};
    t.block = block;
    t.block_size = block_size;
    t.grid_size = grid_size;
    t.linear = i;
    t.lane = i % 32;
    t.warp = warps[i / 32].get();
    t.warp->lanes[t.lane] = &t;
    t.warp->present |= 1u << t.lane;
    t.copies.clear();
    t.copy_group = 0;
    t.doing = "running";
    prepare(t.fiber, run_thread);
  }
  const bool reverse = settings().threads == Order::reverse;
  for (unsigned i = 0; i < count; ++i) make_ready(&threads[reverse ? count - 1 - i : i]);
}

void Engine::run_block(const Index3& block, const Index3& block_size, const Index3& grid_size,
                       size_t shared_bytes) {
  reset(block, block_size, grid_size, shared_bytes);
  ++statistics.blocks;
  if (checker) checker->block_begins(count, arena);
  while (!failed && live) {
    if (Thread* thread = take_ready()) {
      ++statistics.switches;
      current_thread = thread;
      switch_fiber(os, thread->fiber, false);
    } else if (!bulk_copies.empty()) {  // nobody can run: as late as a copy can be
      const BulkCopy copy = std::move(bulk_copies.front());
      bulk_copies.erase(bulk_copies.begin());
      complete(copy);
    } else {
      deadlock();
    }
  }
  if (checker) checker->block_ends(statistics);
  if (!failed) check_canaries();
  if (failed) throw Fault(message);
}

}  // namespace apprentice::simt::emu
