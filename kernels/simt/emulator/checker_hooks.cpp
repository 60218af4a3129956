#include <cstdint>

#include <apprentice/kernels/simt/emulator/checker_internal.h>

// The runtime that code compiled with -fsanitize=thread calls, in the place of libtsan. Accesses of
// fibers go to the access checker; those of the host, which come here too, do nothing.

namespace {

using apprentice::simt::emu::Access;

inline void access(const void* p, size_t bytes, Access kind, const void* place) {
  using namespace apprentice::simt::emu;
  if (Thread* thread = self()) checker->access(*thread, p, bytes, kind, place, true);
}

}  // namespace

#define SIMT_PLACE __builtin_return_address(0)
#define SIMT_ACCESSES(bytes)                                                                   \
  void __tsan_read##bytes(void* p) { access(p, bytes, Access::read, SIMT_PLACE); }             \
  void __tsan_write##bytes(void* p) { access(p, bytes, Access::write, SIMT_PLACE); }           \
  void __tsan_unaligned_read##bytes(void* p) { access(p, bytes, Access::read, SIMT_PLACE); }   \
  void __tsan_unaligned_write##bytes(void* p) { access(p, bytes, Access::write, SIMT_PLACE); } \
  void __tsan_volatile_read##bytes(void* p) { access(p, bytes, Access::read, SIMT_PLACE); }    \
  void __tsan_volatile_write##bytes(void* p) { access(p, bytes, Access::write, SIMT_PLACE); }
// Atomics of the host's standard library; kernels call simt::atomic_add and the like.
#define SIMT_ATOMICS(bits, T)                                                                      \
  T __tsan_atomic##bits##_load(const volatile T* p, int) {                                         \
    return __atomic_load_n(p, __ATOMIC_SEQ_CST);                                                   \
  }                                                                                                \
  void __tsan_atomic##bits##_store(volatile T* p, T v, int) {                                      \
    __atomic_store_n(p, v, __ATOMIC_SEQ_CST);                                                      \
  }                                                                                                \
  T __tsan_atomic##bits##_exchange(volatile T* p, T v, int) {                                      \
    return __atomic_exchange_n(p, v, __ATOMIC_SEQ_CST);                                            \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_add(volatile T* p, T v, int) {                                     \
    return __atomic_fetch_add(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  T __tsan_atomic##bits##_fetch_sub(volatile T* p, T v, int) {                                     \
    return __atomic_fetch_sub(p, v, __ATOMIC_SEQ_CST);                                             \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_strong(volatile T* p, T* expected, T v, int, int) {   \
    return __atomic_compare_exchange_n(p, expected, v, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST); \
  }                                                                                                \
  int __tsan_atomic##bits##_compare_exchange_weak(volatile T* p, T* expected, T v, int, int) {     \
    return __atomic_compare_exchange_n(p, expected, v, true, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);  \
  }

extern "C" {
SIMT_ACCESSES(1)
SIMT_ACCESSES(2)
SIMT_ACCESSES(4)
SIMT_ACCESSES(8)
SIMT_ACCESSES(16)
void __tsan_read_range(void* p, size_t bytes) { access(p, bytes, Access::read, SIMT_PLACE); }
void __tsan_write_range(void* p, size_t bytes) { access(p, bytes, Access::write, SIMT_PLACE); }
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_vptr_read(void**) {}
SIMT_ATOMICS(8, uint8_t)
SIMT_ATOMICS(16, uint16_t)
SIMT_ATOMICS(32, uint32_t)
SIMT_ATOMICS(64, uint64_t)
void __tsan_atomic_thread_fence(int) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
void __tsan_atomic_signal_fence(int) {}
}
