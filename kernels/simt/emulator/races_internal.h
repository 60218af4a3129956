#pragma once

#include <unordered_map>

#include <apprentice/kernels/simt/emulator/checker_internal.h>

namespace apprentice::simt::emu {

/// Who knows what of whom: vector clocks of the threads of a block, and behind them one of the
/// tensor cores for each warpgroup (Lamport 1978; Flanagan and Freund 2009, "FastTrack", for the
/// cells).
class Clocks {
 public:
  void reset(unsigned threads);
  unsigned threads() const { return threads_; }
  unsigned size() const { return size_; }
  unsigned tensor_cores(unsigned warpgroup) const { return threads_ + warpgroup; }
  const uint32_t* of(unsigned who) const { return &clocks_[size_t(who) * size_]; }
  /// The present moment of `who`.
  uint32_t now(unsigned who) const { return of(who)[who]; }

  void all_met();
  void met(const unsigned* threads, int count);
  void release(unsigned thread, const void* object);
  void acquire(unsigned thread, const void* object);
  void product_begins(unsigned warpgroup, unsigned group);
  void products_end(unsigned warpgroup, unsigned end);

  /// From here on the asynchronous proxy sees what the thread has written (or its mbarriers only).
  void fence(unsigned thread, bool barriers_only);
  uint32_t fenced(unsigned thread) const { return fenced_[thread]; }
  uint32_t barriers_fenced(unsigned thread) const { return barriers_fenced_[thread]; }

 private:
  uint32_t* mutable_of(unsigned who) { return &clocks_[size_t(who) * size_]; }

  unsigned threads_ = 0, size_ = 0;
  std::vector<uint32_t> clocks_;
  std::unordered_map<const void*, std::vector<uint32_t>> objects_;
  std::vector<uint32_t> joined_, fenced_, barriers_fenced_;
};

/// Finds accesses of shared memory that nothing orders, reads of what nobody wrote, and touching
/// the target of an asynchronous copy, byte by byte and independent of the order in which threads
/// ran.
class SharedRaces {
 public:
  SharedRaces() : cells_(arena_bytes) {}
  void reset();
  void access(const Clocks& clocks, unsigned who, size_t offset, size_t bytes, Access kind,
              const void* place);
  void copy_begins(size_t offset, size_t bytes);
  void copy_ends(const Clocks& clocks, unsigned thread, size_t offset, size_t bytes, Proxy proxy);
  /// Do the asynchronous proxy's reads see the last writes, or is a fence missing?
  void check_fenced(const Clocks& clocks, size_t offset, size_t bytes, const void* place);
  void check_barrier(const Clocks& clocks, size_t offset, const void* place);

 private:
  /// The last write and the last reads of one byte. A clock of 0: none.
  struct Cell {
    uint32_t generation = 0;
    uint32_t write_clock = 0, read_clock = 0;  ///< read_clock of `many`: 1 + index of the clocks
    uint16_t writer = 0, reader = 0;
    bool written = false, copying = false, atomic = false;
    Proxy proxy = Proxy::generic;  ///< of the last write
    const void *write_place = nullptr, *read_place = nullptr;
  };
  static constexpr uint16_t many = 0xffff;

  Cell& cell(size_t offset);
  void note_read(const Clocks& clocks, unsigned who, Cell& c, const void* place);
  int unordered_reader(const Clocks& clocks, unsigned who, const Cell& c) const;
  static void report(const char* what, size_t offset, int other, const void* place,
                     const void* other_place);

  uint32_t generation_ = 0;  ///< of the running block; cells of another are empty
  std::vector<Cell> cells_;
  std::vector<uint32_t>
      reads_;  ///< clocks of bytes with many readers, one row of clocks.size() each
};

}  // namespace apprentice::simt::emu
