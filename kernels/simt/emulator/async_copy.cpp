#include <apprentice/kernels/simt/emulated/async_copy.h>

#include <cstring>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

namespace {

void arrive(const PendingCopy& copy) {
  std::memcpy(copy.to, copy.from, size_t(copy.source_bytes));
  std::memset(static_cast<char*>(copy.to) + copy.source_bytes, 0,
              size_t(copy.bytes - copy.source_bytes));
}

}  // namespace

void copy_async(void* to, const void* from, int bytes, int source_bytes, const Site& site) {
  Thread* me = self();
  if (source_bytes < 0 || source_bytes > bytes)
    fail(site, "cp_async: source_bytes {} of a copy of {}", source_bytes, bytes);
  check_aligned(to, size_t(bytes), site);
  check_aligned(from, size_t(bytes), site);
  require_shared(to, size_t(bytes), "cp_async", site);
  if (checker) {
    const void* place = place_of(site);
    if (source_bytes) checker->access(*me, from, size_t(source_bytes), Access::read, place, true);
    checker->access(*me, to, size_t(bytes), Access::write, place, true);
    checker->copy_begins(to, size_t(bytes));
  }
  PendingCopy copy{to, from, bytes, source_bytes, me->copy_group};
  if (engine->arrives_at_once()) {
    arrive(copy);
    copy.from = nullptr;
  }
  me->copies.push_back(copy);
}

void copy_commit() { ++self()->copy_group; }

void copy_wait(int groups) {
  Thread* me = self();
  std::erase_if(me->copies, [&](const PendingCopy& copy) {
    if (int(me->copy_group - copy.group) <= groups) return false;
    if (checker) checker->copy_ends(*me, copy.to, size_t(copy.bytes), Proxy::generic);
    if (copy.from) arrive(copy);
    return true;
  });
}

}  // namespace apprentice::simt::emu
