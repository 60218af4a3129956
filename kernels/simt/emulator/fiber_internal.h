#pragma once

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#define SIMT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SIMT_ASAN 1
#endif
#endif

#ifdef SIMT_ASAN
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(address, size) ((void)(address), (void)(size))
#endif

namespace apprentice::simt::emu {

#ifdef SIMT_ASAN
inline constexpr bool under_asan = true;
#else
inline constexpr bool under_asan = false;
#endif

/// A stack that can be left and entered again.
struct Fiber {
  void* stack_pointer = nullptr;
  void* fake_stack = nullptr;  ///< ASan's, while the fiber does not run
  char* stack = nullptr;
  size_t stack_bytes = 0;
};

/// Gives the fiber a stack of its own, with an inaccessible page below it. Never given back.
void allocate_stack(Fiber& fiber, size_t bytes);
/// The next switch to the fiber calls `entry`, which must not return.
void prepare(Fiber& fiber, void (*entry)());
/// Makes `fiber` stand for the stack of the OS thread.
void adopt_os_stack(Fiber& fiber);
/// Leaves `from`, goes on in `to`; returns when somebody switches back. `dying`: nobody will.
void switch_fiber(Fiber& from, Fiber& to, bool dying);
/// To be called first in `entry`.
void fiber_entered();

}  // namespace apprentice::simt::emu
