#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

// A device buffer ends less than 256 bytes before an inaccessible page, the gap holding canaries;
// under ASan it is a block of its heap. It starts as poison.
namespace apprentice::simt::emu {

namespace {

constexpr size_t alignment = 256;  // of cudaMalloc

struct Allocation {
  size_t bytes;
  char* end;      ///< of the accessible pages
  char* mapping;  ///< with the pages before and behind
  size_t mapping_bytes;
};
struct Allocations {
  std::mutex mutex;
  std::map<char*, Allocation> live;
};
Allocations& allocations() {
  static Allocations all;
  return all;
}

char* guarded_alloc(size_t bytes) {
  const size_t page = size_t(sysconf(_SC_PAGESIZE));
  const size_t padded = std::max((bytes + alignment - 1) / alignment * alignment, alignment);
  const size_t body = (padded + page - 1) / page * page;
  void* p =
      mmap(nullptr, body + 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  check(p != MAP_FAILED, "emulator: no memory for a buffer of {} bytes", bytes);
  char* mapping = static_cast<char*>(p);
  char* end = mapping + page + body;
  mprotect(mapping, page, PROT_NONE);
  mprotect(end, page, PROT_NONE);
  char* data = end - padded;
  std::memset(data + bytes, canary_byte, padded - bytes);
  const std::lock_guard lock(allocations().mutex);
  allocations().live[data] = {bytes, end, mapping, body + 2 * page};
  return data;
}

void guarded_free(char* data) {
  const std::lock_guard lock(allocations().mutex);
  const auto found = allocations().live.find(data);
  if (found == allocations().live.end()) std::abort();
  munmap(found->second.mapping, found->second.mapping_bytes);
  allocations().live.erase(found);
}

}  // namespace

void* device_alloc(size_t bytes) {
  char* data;
  if (under_asan) {
    data = static_cast<char*>(
        std::aligned_alloc(alignment, (bytes + alignment) / alignment * alignment));
    ASAN_POISON_MEMORY_REGION(data + bytes, (bytes + alignment) / alignment * alignment - bytes);
  } else {
    data = guarded_alloc(bytes);
  }
  std::memset(data, poison_byte, bytes);
  if (checker) checker->allocated(data, bytes);
  return data;
}

void device_free(void* p) {
  if (checker) checker->freed(p);
  if (under_asan) {
    std::free(p);
  } else {
    guarded_free(static_cast<char*>(p));
  }
}

std::string check_device_canaries() {
  const std::lock_guard lock(allocations().mutex);
  for (const auto& [data, a] : allocations().live) {
    const bool intact =
        std::all_of(data + a.bytes, a.end, [](char c) { return c == char(canary_byte); });
    if (!intact)
      return fmt::format("write just past the end of a device buffer of {} bytes", a.bytes);
  }
  return "";
}

#ifdef SIMT_ASAN
void watch_segmentation_faults() {}
#else
namespace {

const char* why_bad(const Thread& t, const char* address) {
  constexpr size_t near = 8192;
  const char* stack = t.fiber.stack;
  if (address >= stack - 4096 && address < stack)
    return "the stack of a thread overflowed (Settings::stack_bytes)";
  for (const auto& [data, a] : allocations().live)
    if (address + near >= data && address < a.end + near) return "out of bounds of a device buffer";
  return "bad address";
}

void on_segmentation_fault(int signal, siginfo_t* info, void*) {
  const char* address = static_cast<const char*>(info->si_addr);
  if (const Thread* t = self()) {
    char message[256];
    const int n = std::snprintf(message, sizeof message,
                                "emulator: %s at %p, block (%u,%u,%u) thread (%u,%u,%u)\n",
                                why_bad(*t, address), static_cast<const void*>(address), t->block.x,
                                t->block.y, t->block.z, t->thread.x, t->thread.y, t->thread.z);
    if (write(STDERR_FILENO, message, size_t(n)) < 0) std::abort();
  }
  ::signal(signal, SIG_DFL);
  raise(signal);
}

}  // namespace

void watch_segmentation_faults() {
  constexpr size_t bytes = 64 * 1024;
  static thread_local const std::unique_ptr<char[]> stack(new char[bytes]);
  stack_t own{};
  own.ss_sp = stack.get();
  own.ss_size = bytes;
  sigaltstack(&own, nullptr);
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = on_segmentation_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, nullptr);
  });
}
#endif

}  // namespace apprentice::simt::emu
