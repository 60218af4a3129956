#pragma once

#include <apprentice/kernels/simt/emulator/engine_internal.h>

namespace apprentice::simt::emu {

enum class Access : uint8_t { read, write, atomic };
/// Who wrote: threads and cp.async, or the copy engine, which wgmma sees without a fence.
enum class Proxy : uint8_t { generic, async };

/// What the emulator tells the access checker, which only the checker build links. Places: see
/// report_internal.h.
class Checker {
 public:
  virtual ~Checker() = default;
  virtual void launch_begins() = 0;
  virtual void block_begins(unsigned threads, const char* shared) = 0;
  virtual void block_ends(Statistics& statistics) = 0;
  /// `counted`: one thread's part of a load or store of its warp, for the traffic statistics.
  virtual void access(const Thread& thread, const void* p, size_t bytes, Access kind,
                      const void* place, bool counted) = 0;
  /// One phase of a collective access of shared memory, such as the eight rows of a matrix.
  virtual void collective_access(const void* const* rows, int count, size_t bytes) = 0;
  /// All threads of the block have met, or just these of one barrier.
  virtual void all_met() = 0;
  virtual void met(const unsigned* threads, int count) = 0;
  /// A thread leaves what it knows at a barrier object, or takes what is there.
  virtual void release(unsigned thread, const void* object) = 0;
  virtual void acquire(unsigned thread, const void* object) = 0;
  /// An asynchronous copy to shared memory is under way, or has become visible to the thread.
  virtual void copy_begins(const void* p, size_t bytes) = 0;
  virtual void copy_ends(const Thread& thread, const void* p, size_t bytes, Proxy proxy) = 0;
  /// The thread fences its writes for the asynchronous proxy: all, or initial mbarriers only.
  virtual void proxy_fence(unsigned thread, bool barriers_only) = 0;
  /// The copy engine will count at this mbarrier.
  virtual void barrier_is_used(const uint64_t* barrier, const void* place) = 0;
  /// The tensor cores read for a warpgroup of 128 threads: a product of group `group` begins,
  /// reads, and the threads have waited for all groups before `end`.
  virtual void product_begins(unsigned warpgroup, unsigned group) = 0;
  virtual void product_reads(unsigned warpgroup, const void* p, size_t bytes,
                             const void* place) = 0;
  virtual void products_end(unsigned warpgroup, unsigned end) = 0;
  virtual void allocated(void* p, size_t bytes) = 0;
  virtual void freed(void* p) = 0;
};
extern Checker* checker;  ///< null: not linked

}  // namespace apprentice::simt::emu
