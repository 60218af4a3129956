#include <apprentice/kernels/simt/emulator/fiber_internal.h>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <apprentice/base/error.h>

#ifdef SIMT_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// simt_switch(save, load): pushes the registers that a call preserves, stores the stack pointer in
// *save, and returns on the stack `load`.
asm(R"(
.text
.p2align 4
.type simt_switch,@function
simt_switch:
  .cfi_startproc
  endbr64
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .cfi_endproc
.size simt_switch,.-simt_switch
)");
extern "C" void simt_switch(void** save, void* load) asm("simt_switch");
#else
#error "the SIMT emulator has a context switch for x86-64 only"
#endif

namespace apprentice::simt::emu {

void allocate_stack(Fiber& fiber, size_t bytes) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  void* p = mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  check(p != MAP_FAILED, "emulator: no memory for a stack of {} bytes", bytes);
  mprotect(p, page, PROT_NONE);
  fiber.stack = static_cast<char*>(p) + page;
  fiber.stack_bytes = bytes;
}

void prepare(Fiber& fiber, void (*entry)()) {
  // A fiber that was abandoned in the middle leaves ASan's redzones behind.
  ASAN_UNPOISON_MEMORY_REGION(fiber.stack, fiber.stack_bytes);
  void** top = reinterpret_cast<void**>(fiber.stack + fiber.stack_bytes);
  constexpr int saved_registers = 6;
  *--top = nullptr;  // where `entry` would return to; keeps the stack aligned
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < saved_registers; ++i) *--top = nullptr;
  fiber.stack_pointer = top;
  fiber.fake_stack = nullptr;
}

void adopt_os_stack(Fiber& fiber) {
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes)) return;
  void* stack = nullptr;
  pthread_attr_getstack(&attributes, &stack, &fiber.stack_bytes);
  pthread_attr_destroy(&attributes);
  fiber.stack = static_cast<char*>(stack);
}

void switch_fiber(Fiber& from, Fiber& to, [[maybe_unused]] bool dying) {
#ifdef SIMT_ASAN
  __sanitizer_start_switch_fiber(dying ? nullptr : &from.fake_stack, to.stack, to.stack_bytes);
#endif
  simt_switch(&from.stack_pointer, to.stack_pointer);
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(from.fake_stack, nullptr, nullptr);
#endif
}

void fiber_entered() {
#ifdef SIMT_ASAN
  __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
#endif
}

}  // namespace apprentice::simt::emu
