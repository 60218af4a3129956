#include <algorithm>
#include <cstring>

#include <apprentice/kernels/simt/emulated/memory.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

// Shared memory of a block: the dynamic part first, then each static declaration when a thread
// first reaches it. All of it starts as poison; what is behind it holds canaries, or is poisoned
// for ASan.
namespace apprentice::simt::emu {

namespace {

size_t rounded_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

}  // namespace

void Engine::reset_shared(size_t bytes) {
  ASAN_UNPOISON_MEMORY_REGION(arena - canary_bytes, arena_bytes + 2 * canary_bytes);
  std::memset(arena - canary_bytes, canary_byte, canary_bytes);
  std::memset(arena, poison_byte, bytes);
  std::memset(arena + bytes, canary_byte, canary_bytes);
  ASAN_POISON_MEMORY_REGION(arena - canary_bytes, canary_bytes);
  ASAN_POISON_MEMORY_REGION(arena + bytes, arena_bytes + canary_bytes - bytes);
  arena_used = dynamic_bytes = bytes;
  statics.clear();
}

void Engine::check_canaries() {
  if (under_asan) return;
  const auto written = [](const char* p) { return *p != char(canary_byte); };
  if (std::any_of(arena - canary_bytes, arena, [&](const char& c) { return written(&c); }))
    remember_fault("write before the start of shared memory");
  const char* end = arena + arena_used;
  const char* limit = arena + std::min(arena_used, arena_bytes) + canary_bytes;
  for (const char* p = end; p < limit; ++p) {
    if (!written(p)) continue;
    remember_fault(fmt::format("write {} bytes past the end of shared memory ({} bytes)", p - end,
                               arena_used));
    return;
  }
}

void* dynamic_shared(size_t align) {
  (void)align;  // the arena is aligned to a page
  if (engine->dynamic_bytes == 0)
    throw Fault("the kernel uses dynamic shared memory, but the launch gave it none");
  return engine->arena;
}

void* static_shared(const void* tag, size_t bytes, size_t align) {
  Engine& e = *engine;
  for (const StaticShared& s : e.statics)
    if (s.tag == tag) return s.data;
  constexpr size_t gap = 64;  // so that going past one array does not reach the next
  // Aligned as its type asks and no better, as it may be on a GPU.
  constexpr size_t line = 128;
  const size_t offset = align < line ? rounded_up(e.arena_used + gap, line) + align
                                     : rounded_up(e.arena_used + gap, align);
  // The gaps, which hardware does not have, are granted on top.
  if (offset + bytes > std::min(settings().shared_limit + canary_bytes, arena_bytes))
    throw Fault(fmt::format("{} bytes of static shared memory do not fit", bytes));
  char* data = e.arena + offset;
  ASAN_UNPOISON_MEMORY_REGION(data, bytes);
  std::memset(data, poison_byte, bytes);
  e.arena_used = offset + bytes;
  if (!under_asan)
    std::memset(e.arena + e.arena_used, canary_byte,
                std::min(canary_bytes, arena_bytes + canary_bytes - e.arena_used));
  e.statics.push_back({tag, data, bytes});
  return data;
}

bool is_shared(const void* p, size_t bytes) {
  const char* at = static_cast<const char*>(p);
  const auto inside = [&](const char* data, size_t size) {
    return at >= data && at + bytes <= data + size;
  };
  if (inside(engine->arena, engine->dynamic_bytes)) return true;
  return std::any_of(engine->statics.begin(), engine->statics.end(),
                     [&](const StaticShared& s) { return inside(s.data, s.bytes); });
}

void require_shared(const void* p, size_t bytes, const char* operation, const Site& site) {
  if (is_shared(p, bytes)) return;
  fail(site, "{}: {} bytes at offset {} are not inside shared memory (dynamic part: {} bytes)",
       operation, bytes, static_cast<const char*>(p) - engine->arena, engine->dynamic_bytes);
}

void check_aligned(const void* p, size_t bytes, const Site& site) {
  if (reinterpret_cast<uintptr_t>(p) % bytes)
    fail(site, "misaligned {}-byte access at {}", bytes, p);
}

uint32_t shared_offset(const void* p, const Site& site) {
  const char* at = static_cast<const char*>(p);
  if (at < engine->arena || at > engine->arena + engine->arena_used)
    fail(site, "{} is no address of shared memory", p);
  return uint32_t(at - engine->arena);
}

}  // namespace apprentice::simt::emu
