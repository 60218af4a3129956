#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/races_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>
#include <apprentice/kernels/simt/emulator/traffic_internal.h>

// The access checker: kernel files are compiled with the hooks of -fsanitize=thread, which
// checker_hooks.cpp turns into calls of this. Shared memory: bounds, races, uninitialised reads,
// targets of copies under way. Device buffers: bounds, and two blocks that write the same byte.
namespace apprentice::simt::emu {

namespace {

/// Accesses wider than this are copies by the compiler or the copy engine, not lanes of a warp.
constexpr size_t widest_lane = 16;
/// How far from a buffer an access still counts as one that missed it.
constexpr uintptr_t near = 4096;

struct Region {
  uintptr_t base = 0;
  size_t bytes = 0;
  std::vector<uint64_t> writers;  ///< launch and block of the last plain write of each byte
};

class AccessChecker final : public Checker {
 public:
  AccessChecker() { checker = this; }

  void launch_begins() override { block_ = ((block_ >> 32) + 1) << 32; }

  void block_begins(unsigned threads, const char* shared) override {
    arena_ = shared;
    ++block_;
    clocks_.reset(threads);
    races_.reset();
    traffic_.reset(threads);
  }

  void block_ends(Statistics& statistics) override {
    traffic_.flush();
    statistics += traffic_.totals();
  }

  void access(const Thread& thread, const void* p, size_t bytes, Access kind, const void* place,
              bool counted) override {
    const char* at = static_cast<const char*>(p);
    const Fiber& fiber = thread.fiber;
    if (at >= fiber.stack && at < fiber.stack + fiber.stack_bytes) return;  // a local variable
    const bool shared = at >= arena_ - near && at < arena_ + arena_bytes + near;
    if (shared) {
      if (!shared_access(thread.linear, p, bytes, kind, place)) return;
    } else if (!global_access(p, bytes, kind, place)) {
      return;
    }
    if (counted && bytes <= widest_lane) traffic_.add(thread, p, bytes, place, shared);
  }

  void collective_access(const void* const* rows, int count, size_t bytes) override {
    traffic_.add_collective(rows, count, bytes);
  }

  void all_met() override {
    clocks_.all_met();
    traffic_.flush();
  }
  void met(const unsigned* threads, int count) override { clocks_.met(threads, count); }
  void release(unsigned thread, const void* object) override { clocks_.release(thread, object); }
  void acquire(unsigned thread, const void* object) override { clocks_.acquire(thread, object); }

  void copy_begins(const void* p, size_t bytes) override { races_.copy_begins(offset(p), bytes); }
  void copy_ends(const Thread& thread, const void* p, size_t bytes, Proxy proxy) override {
    races_.copy_ends(clocks_, thread.linear, offset(p), bytes, proxy);
  }
  void proxy_fence(unsigned thread, bool barriers_only) override {
    clocks_.fence(thread, barriers_only);
  }
  void barrier_is_used(const uint64_t* barrier, const void* place) override {
    races_.check_barrier(clocks_, offset(barrier), place);
  }

  void product_begins(unsigned warpgroup, unsigned group) override {
    clocks_.product_begins(warpgroup, group);
  }
  void product_reads(unsigned warpgroup, const void* p, size_t bytes, const void* place) override {
    if (shared_access(clocks_.tensor_cores(warpgroup), p, bytes, Access::read, place))
      races_.check_fenced(clocks_, offset(p), bytes, place);
  }
  void products_end(unsigned warpgroup, unsigned end) override {
    clocks_.products_end(warpgroup, end);
  }

  void allocated(void* p, size_t bytes) override {
    const auto base = reinterpret_cast<uintptr_t>(p);
    regions_[base] = {base, bytes, {}};
  }
  void freed(void* p) override { regions_.erase(reinterpret_cast<uintptr_t>(p)); }

 private:
  size_t offset(const void* p) const { return size_t(static_cast<const char*>(p) - arena_); }

  bool shared_access(unsigned who, const void* p, size_t bytes, Access kind, const void* place) {
    if (is_shared(p, bytes)) {
      races_.access(clocks_, who, offset(p), bytes, kind, place);
      return true;
    }
    remember_fault(
        fmt::format("access of {} bytes at offset {} is out of bounds of shared memory, "
                    "at {}",
                    bytes, static_cast<const char*>(p) - arena_, place_text(place)));
    return false;
  }

  /// The buffer of the access; null if there is none near, or with a fault if it was missed.
  Region* find_region(uintptr_t at, size_t bytes, const void* place) {
    auto after = regions_.upper_bound(at);
    Region* before = after == regions_.begin() ? nullptr : &std::prev(after)->second;
    const bool in_before = before && at < before->base + before->bytes;
    if (!in_before && after != regions_.end() && at + near >= after->first) {
      remember_fault(fmt::format("access {} bytes before a device buffer, at {}", after->first - at,
                                 place_text(place)));
      return nullptr;
    }
    if (!before || at >= before->base + before->bytes + near) return nullptr;
    if (at + bytes <= before->base + before->bytes) return before;
    remember_fault(
        fmt::format("access of {} bytes at offset {} of a device buffer of {} bytes, at "
                    "{}",
                    bytes, at - before->base, before->bytes, place_text(place)));
    return nullptr;
  }

  bool global_access(const void* p, size_t bytes, Access kind, const void* place) {
    const auto at = reinterpret_cast<uintptr_t>(p);
    Region* region = find_region(at, bytes, place);
    if (!region) return false;
    if (kind != Access::write) return true;
    if (region->writers.empty()) region->writers.assign(region->bytes, 0);
    for (size_t i = at - region->base; i < at - region->base + bytes; ++i) {
      uint64_t& writer = region->writers[i];
      if (writer != block_ && writer >> 32 == block_ >> 32)
        remember_fault(fmt::format("two blocks write byte {} of the same device buffer, at {}", i,
                                   place_text(place)));
      writer = block_;
    }
    return true;
  }

  uint64_t block_ = 0;  ///< number of the launch, then of the block in it
  const char* arena_ = nullptr;
  Clocks clocks_;
  SharedRaces races_;
  Traffic traffic_;
  std::map<uintptr_t, Region> regions_;
};

AccessChecker instance;

}  // namespace

}  // namespace apprentice::simt::emu
