#include <apprentice/kernels/simt/emulator/races_internal.h>

#include <algorithm>

#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

void Clocks::reset(unsigned threads) {
  threads_ = threads;
  size_ = threads + (threads + 127) / 128;
  clocks_.assign(size_t(size_) * size_, 0);
  for (unsigned t = 0; t < threads; ++t) mutable_of(t)[t] = 1;
  objects_.clear();
  fenced_.assign(threads, 0);
  barriers_fenced_.assign(threads, 0);
}

void Clocks::fence(unsigned thread, bool barriers_only) {
  barriers_fenced_[thread] = now(thread);
  if (!barriers_only) fenced_[thread] = now(thread);
  ++mutable_of(thread)[thread];
}

void Clocks::all_met() {
  std::vector<unsigned> all(threads_);
  for (unsigned t = 0; t < threads_; ++t) all[t] = t;
  met(all.data(), int(threads_));
}

void Clocks::met(const unsigned* threads, int count) {
  joined_.assign(size_, 0);
  for (int i = 0; i < count; ++i)
    for (unsigned o = 0; o < size_; ++o) joined_[o] = std::max(joined_[o], of(threads[i])[o]);
  for (int i = 0; i < count; ++i) {
    std::copy(joined_.begin(), joined_.end(), mutable_of(threads[i]));
    ++mutable_of(threads[i])[threads[i]];
  }
}

void Clocks::release(unsigned thread, const void* object) {
  auto& left = objects_[object];
  left.resize(size_, 0);
  for (unsigned o = 0; o < size_; ++o) left[o] = std::max(left[o], of(thread)[o]);
  ++mutable_of(thread)[thread];
}

void Clocks::acquire(unsigned thread, const void* object) {
  auto& left = objects_[object];
  left.resize(size_, 0);
  for (unsigned o = 0; o < size_; ++o) mutable_of(thread)[o] = std::max(of(thread)[o], left[o]);
}

void Clocks::product_begins(unsigned warpgroup, unsigned group) {
  // The product sees what every one of its threads knows; one alone cannot speak for the others.
  const unsigned first = 128 * warpgroup;
  uint32_t* clock = mutable_of(tensor_cores(warpgroup));
  std::copy_n(of(first), size_, clock);
  for (unsigned t = first + 1; t < first + 128; ++t)
    for (unsigned o = 0; o < size_; ++o) clock[o] = std::min(clock[o], of(t)[o]);
  clock[tensor_cores(warpgroup)] = group + 1;
}

void Clocks::products_end(unsigned warpgroup, unsigned end) {
  for (unsigned t = 128 * warpgroup; t < 128 * warpgroup + 128; ++t)
    mutable_of(t)[tensor_cores(warpgroup)] = end;
}

void SharedRaces::reset() {
  ++generation_;
  reads_.clear();
}

SharedRaces::Cell& SharedRaces::cell(size_t offset) {
  Cell& c = cells_[offset];
  if (c.generation != generation_) {
    c = Cell{};
    c.generation = generation_;
  }
  return c;
}

void SharedRaces::report(const char* what, size_t offset, int other, const void* place,
                         const void* other_place) {
  remember_fault(
      fmt::format("data race on shared memory byte {}: {}, the other is thread {}, at {} "
                  "against {}",
                  offset, what, other, place_text(place), place_text(other_place)));
}

void SharedRaces::note_read(const Clocks& clocks, unsigned who, Cell& c, const void* place) {
  const uint32_t* mine = clocks.of(who);
  const bool alone =
      !c.read_clock || c.reader == who || (c.reader != many && c.read_clock <= mine[c.reader]);
  if (alone) {
    c.reader = uint16_t(who);
    c.read_clock = mine[who];
    c.read_place = place;
    return;
  }
  if (c.reader != many) {
    const size_t row = reads_.size() / clocks.size();
    reads_.resize(reads_.size() + clocks.size(), 0);
    reads_[row * clocks.size() + c.reader] = c.read_clock;
    c.reader = many;
    c.read_clock = uint32_t(row) + 1;
  }
  reads_[(c.read_clock - 1) * size_t(clocks.size()) + who] = mine[who];
}

int SharedRaces::unordered_reader(const Clocks& clocks, unsigned who, const Cell& c) const {
  const uint32_t* mine = clocks.of(who);
  if (!c.read_clock) return -1;
  if (c.reader != many)
    return c.reader != who && c.read_clock > mine[c.reader] ? int(c.reader) : -1;
  const uint32_t* reads = &reads_[(c.read_clock - 1) * size_t(clocks.size())];
  for (unsigned o = 0; o < clocks.size(); ++o)
    if (o != who && reads[o] > mine[o]) return int(o);
  return -1;
}

void SharedRaces::access(const Clocks& clocks, unsigned who, size_t offset, size_t bytes,
                         Access kind, const void* place) {
  const uint32_t* mine = clocks.of(who);
  for (size_t at = offset; at < offset + bytes; ++at) {
    Cell& c = cell(at);
    if (c.copying)
      return remember_fault(
          fmt::format("shared memory byte {} is touched at {} while an "
                      "asynchronous copy to it is under way",
                      at, place_text(place)));
    if (kind != Access::write && !c.written)
      return remember_fault(
          fmt::format("read of uninitialised shared memory byte {} at {}", at, place_text(place)));
    const bool both_atomic = kind == Access::atomic && c.atomic;
    const bool write_unordered = c.write_clock && c.writer != who && c.write_clock > mine[c.writer];
    if (write_unordered && !both_atomic)
      return report(
          kind == Access::read ? "read after an unsynchronised write" : "two unsynchronised writes",
          at, c.writer, place, c.write_place);
    if (kind == Access::read) {
      note_read(clocks, who, c, place);
      continue;
    }
    if (const int reader = unordered_reader(clocks, who, c); reader >= 0)
      return report("write after an unsynchronised read", at, reader, place, c.read_place);
    c.read_clock = 0;
    c.writer = uint16_t(who);
    c.write_clock = mine[who];
    c.write_place = place;
    c.written = true;
    c.atomic = kind == Access::atomic;
    c.proxy = Proxy::generic;
  }
}

void SharedRaces::copy_begins(size_t offset, size_t bytes) {
  for (size_t at = offset; at < offset + bytes; ++at) cell(at).copying = true;
}

void SharedRaces::copy_ends(const Clocks& clocks, unsigned thread, size_t offset, size_t bytes,
                            Proxy proxy) {
  for (size_t at = offset; at < offset + bytes; ++at) {
    Cell& c = cell(at);
    c.copying = false;
    c.proxy = proxy;
    c.writer = uint16_t(thread);
    c.write_clock = clocks.now(thread);  // written now, for all who come to know of this moment
  }
}

void SharedRaces::check_fenced(const Clocks& clocks, size_t offset, size_t bytes,
                               const void* place) {
  for (size_t at = offset; at < offset + bytes; ++at) {
    const Cell& c = cell(at);
    if (c.proxy == Proxy::async || !c.write_clock || c.write_clock <= clocks.fenced(c.writer))
      continue;
    return remember_fault(
        fmt::format("the tensor cores read shared memory byte {} at {}, which "
                    "thread {} wrote at {} without a fence_async_proxy after it",
                    at, place_text(place), c.writer, place_text(c.write_place)));
  }
}

void SharedRaces::check_barrier(const Clocks& clocks, size_t offset, const void* place) {
  const Cell& c = cell(offset);
  if (c.write_clock > clocks.barriers_fenced(c.writer))
    remember_fault(
        fmt::format("the copy engine uses an mbarrier at {} that thread {} initialised "
                    "without mbarrier_fence_init after it",
                    place_text(place), c.writer));
}

}  // namespace apprentice::simt::emu
