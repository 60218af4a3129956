#pragma once

#include <cstddef>
#include <cstdint>

#include <apprentice/kernels/simt/types.h>

// Macros of the emulated build; simt.h explains them.
#define SIMT_NS emu
#define SIMT_API api_emu
#define SIMT_EMULATED 1
#define SIMT_KERNEL [[maybe_unused]] static void
#define SIMT_KERNEL_BOUNDS(threads, min_blocks) [[maybe_unused]] static void
#define SIMT_FN inline
#define SIMT_HD inline
#define SIMT_GRID_CONSTANT
#define SIMT_UNROLL
#define SIMT_RESTRICT __restrict__
// The type of the lambda is a tag of this declaration, and of each instantiation around it.
#define SIMT_SHARED(T, name, count)                                           \
  T(&name)                                                                    \
  [count] = *static_cast<T(*)[count]>(::apprentice::simt::emu::static_shared( \
      ::apprentice::simt::emu::tag_of([] {}), sizeof(T) * (count), alignof(T)))

#define threadIdx (::apprentice::simt::emu::current_thread->thread)
#define blockIdx (::apprentice::simt::emu::current_thread->block)
#define blockDim (::apprentice::simt::emu::current_thread->block_size)
#define gridDim (::apprentice::simt::emu::current_thread->grid_size)

namespace apprentice::simt::emu {

/// Where a kernel calls us: std::source_location, which clang 14 lacks.
struct Site {
  const char* file = "";
  unsigned line = 0;
  static constexpr Site here(const char* file = __builtin_FILE(),
                             unsigned line = __builtin_LINE()) {
    return {file, line};
  }
};

struct Index3 {
  unsigned x, y, z;
};
struct ThreadContext {
  Index3 thread, block, block_size, grid_size;
  unsigned linear, lane;
};
/// The fiber that runs on this OS thread; null on the host.
extern constinit thread_local ThreadContext* current_thread;

void* static_shared(const void* tag, size_t bytes, size_t align);
template <class F>
const void* tag_of(F) {
  static const char tag = 0;
  return &tag;
}

/// The offset of p in the shared memory of the block: the address that descriptors hold.
uint32_t shared_offset(const void* p, const Site& site);
void check_aligned(const void* p, size_t bytes, const Site& site);

}  // namespace apprentice::simt::emu

/// Last parameter of the functions of the emulated half.
#define SIMT_SITE ::apprentice::simt::emu::Site site = ::apprentice::simt::emu::Site::here()

namespace apprentice::simt {
inline namespace api_emu {

inline uint32_t shared_address(const void* p, SIMT_SITE) { return emu::shared_offset(p, site); }

}  // namespace api_emu
}  // namespace apprentice::simt
