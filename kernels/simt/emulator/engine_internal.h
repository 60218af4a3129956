#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include <apprentice/kernels/simt/emulated/launch.h>
#include <apprentice/kernels/simt/emulated/wgmma.h>
#include <apprentice/kernels/simt/emulator.h>
#include <apprentice/kernels/simt/emulator/fiber_internal.h>

// The engine: one OS thread runs one block at a time, every thread of the block is a fiber. What a
// thread waits for is kept by the unit that it waits in (barrier.cpp, warp.cpp, ...); the engine
// only knows who can run.
namespace apprentice::simt::emu {

struct Warp;

/// A copy of cp.async that has not been waited for; `from` null: it has arrived already.
struct PendingCopy {
  void* to;
  const void* from;
  int bytes, source_bytes;
  unsigned group;
};

struct Thread : ThreadContext {
  enum class State : uint8_t { ready, at_barrier, waiting, done };
  Fiber fiber;
  State state = State::ready;
  const char* doing = "";  ///< what it waits in, for the report of a deadlock
  Site where;
  Warp* warp = nullptr;
  unsigned copy_group = 0;
  std::vector<PendingCopy> copies;
};

/// Lanes of a warp that meet in one operation.
struct Collective {
  const char* name = nullptr;
  Site where;
  uint32_t mask = 0, arrived = 0, argument = 0;
  const void* in[32];
  void* out[32];
};

struct Warp {
  Thread* lanes[32] = {};
  uint32_t present = 0;  ///< lanes that exist and have not returned
  /// At most one for each distinct mask: lanes that finished in a part of the warp may already wait
  /// with the whole of it while others are still in that part.
  Collective pending[32];
  bool at_barrier = false;
  Site barrier_site;
};

struct NamedBarrier {
  int arrived = 0, expected = 0;
  std::vector<Thread*> waiting;
};

/// Bytes that the copy engine moves; `from` null: zeros.
struct Segment {
  char* to;
  const char* from;
  uint32_t bytes;
};
/// A copy by the copy engine: `bytes` is what it counts for at its barrier.
struct BulkCopy {
  std::vector<Segment> segments;
  uint32_t bytes;
  uint64_t* barrier;
  unsigned thread;
};

struct WgmmaProduct {
  WgmmaCall call;
  int* d[128];
  const uint32_t* a[128];
  unsigned group;
};
struct Warpgroup {
  enum class Step : uint8_t { product, fence, commit, wait };
  int arrived = 0;
  Step step = Step::fence;
  int argument = 0;
  WgmmaProduct product;  ///< of the step that is gathering its threads
  unsigned group = 0;
  std::vector<WgmmaProduct> products;
  std::vector<Thread*> waiting;
};

/// One declaration of static shared memory.
struct StaticShared {
  const void* tag;
  char* data;
  size_t bytes;
};

inline constexpr unsigned char poison_byte = 0xA5, canary_byte = 0x5C;
inline constexpr size_t arena_bytes = 256 * 1024, canary_bytes = 4096;

uint64_t random_number(uint64_t& state);

struct Engine {
  Fiber os;
  std::vector<Thread> threads;
  std::vector<std::unique_ptr<Warp>> warps;
  std::vector<Warpgroup> warpgroups;
  unsigned count = 0, live = 0;

  std::vector<Thread*> ring;  ///< who can run
  size_t ring_head = 0, ring_count = 0;

  char* arena;  ///< shared memory, with canaries before and behind it
  size_t arena_used = 0, dynamic_bytes = 0;
  std::vector<StaticShared> statics;

  int barrier_count = 0, barrier_sum = 0, barrier_result = 0;
  NamedBarrier named[16];
  std::vector<BulkCopy> bulk_copies;
  std::vector<Thread*> polling;  ///< in mbarrier_wait

  uint64_t random = 1;
  void (*body)(const void*) = nullptr;
  const void* arguments = nullptr;
  bool failed = false;
  std::string message;
  Statistics statistics;

  Engine();
  void run_block(const Index3& block, const Index3& block_size, const Index3& grid_size,
                 size_t shared_bytes);

  void make_ready(Thread* thread);
  /// Runs others until somebody makes the thread ready again.
  void wait(Thread* thread, Thread::State state, const char* doing, const Site& site);
  void thread_returned(Thread* thread);
  void finish_barrier();
  void wake_polling();
  /// Does an asynchronous operation take effect now?
  bool arrives_at_once();

 private:
  void reset(const Index3& block, const Index3& block_size, const Index3& grid_size,
             size_t shared_bytes);
  void reset_shared(size_t bytes);
  void check_canaries();
  Thread* take_ready();
  void leave(Thread* thread, bool dying);
  [[noreturn]] void deadlock();
};

extern thread_local Engine* engine;
inline Thread* self() { return static_cast<Thread*>(current_thread); }

// warp.cpp
using WarpFunction = void (*)(const void* const* in, void* const* out, uint32_t mask,
                              uint32_t argument);
/// Waits for all lanes of the mask; the last one calls fn for all of them.
void warp_collective(const char* name, uint32_t mask, const void* in, void* out, WarpFunction fn,
                     uint32_t argument, const Site& site);

// shared_memory.cpp
/// Is it all inside the dynamic or one static allocation of the running block?
bool is_shared(const void* p, size_t bytes);
/// Fault unless it is.
void require_shared(const void* p, size_t bytes, const char* operation, const Site& site);

// bulk_copy.cpp
void start_copy(BulkCopy copy);
void complete(const BulkCopy& copy);

// device_memory.cpp
/// What was written just behind a buffer, or "".
std::string check_device_canaries();
/// Reports a segmentation fault of a kernel in words before the program ends of it.
void watch_segmentation_faults();

}  // namespace apprentice::simt::emu
