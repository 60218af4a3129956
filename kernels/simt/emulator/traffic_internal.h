#pragma once

#include <apprentice/kernels/simt/emulator/checker_internal.h>

namespace apprentice::simt::emu {

/// Counts what the loads and stores of warps cost: wavefronts of shared memory (bank conflicts) and
/// sectors of global memory (coalescing). Accesses of the lanes of a warp between two barriers
/// belong to one request if they come from the same place for the same n-th time.
class Traffic {
 public:
  void reset(unsigned threads);
  void add(const Thread& thread, const void* p, size_t bytes, const void* place, bool shared);
  void add_collective(const void* const* rows, int count, size_t bytes);
  /// Counts and forgets what has been added.
  void flush();
  const Statistics& totals() const { return totals_; }

 private:
  struct Entry {
    const void* place;
    uint32_t nth;
    uint16_t lane;
    bool shared;
    uintptr_t address;
    uint32_t bytes;
  };
  struct Cost {
    uint64_t cost, ideal;
  };
  void flush_warp(std::vector<Entry>& entries);
  static Cost wavefronts(std::vector<uintptr_t>& words);
  static Cost shared_cost(const Entry* begin, const Entry* end);
  static Cost global_cost(const Entry* begin, const Entry* end);

  std::vector<std::vector<Entry>> warps_;
  Statistics totals_;
};

}  // namespace apprentice::simt::emu
