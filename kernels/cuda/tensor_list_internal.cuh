#pragma once

#include <algorithm>

#include <apprentice/kernels/simt/simt.h>

// Launches over many tensors of very different sizes: what a kernel must know of each, an Entry,
// goes by value in the parameters of the launch, so nothing is uploaded and a captured graph holds
// it. Tensors are cut into chunks, Entry::chunks() of them, which the blocks share evenly.
namespace apprentice::kernels::SIMT_NS {

inline constexpr int kListThreads = 256;
/// Elements of a chunk where each is worked on by itself: two fours for each thread.
inline constexpr int kListChunk = 8 * kListThreads;
inline uint32_t chunks_of(int64_t n) { return uint32_t((n + kListChunk - 1) / kListChunk); }

/// What a list takes of the parameters of a launch, which are 32,764 bytes at most (CUDA 12.1,
/// compute capability 7.0), and how many blocks share chunks or other parts at most. Under the
/// emulator every fiber has its copy of the list, and small tests still fill both.
#if defined(SIMT_EMULATED)
inline constexpr size_t kListBytes = 2048;
inline constexpr unsigned kListBlocks = 8;
#else
inline constexpr size_t kListBytes = 32000;
inline constexpr unsigned kListBlocks = 132 * 16;
#endif

template <class Entry>
struct EntryList {
  static constexpr int kMost = int((kListBytes - 8) / (sizeof(Entry) + 4));
  int count = 0;
  uint32_t first_chunk[kMost + 1] = {};  ///< of each entry, and of the one after the last
  Entry entries[kMost] = {};

  SIMT_HD uint32_t chunks() const { return first_chunk[count]; }
  unsigned blocks() const { return std::min(chunks(), kListBlocks); }
  void add(const Entry& entry) {
    entries[count] = entry;
    first_chunk[count + 1] = first_chunk[count] + entry.chunks();
    ++count;
  }
  /// The entry that a chunk is of.
  SIMT_FN int entry_of(uint32_t chunk) const {
    int low = 0, high = count;  // first_chunk[low] <= chunk < first_chunk[high]
    while (high - low > 1) {
      const int middle = (low + high) / 2;
      if (first_chunk[middle] <= chunk)
        low = middle;
      else
        high = middle;
    }
    return low;
  }
};

/// run(list) for as few lists as hold make(i) of all i below `count`; those without chunks are left
/// out.
template <class Make, class Run>
void for_entry_lists(size_t count, const Make& make, const Run& run) {
  using List = EntryList<decltype(make(size_t()))>;
  List list;
  for (size_t i = 0; i < count; ++i) {
    const auto entry = make(i);
    if (entry.chunks() > 0) list.add(entry);
    if (list.count == List::kMost || (list.count > 0 && i + 1 == count)) {
      run(list);
      list.count = 0;
    }
  }
}

/// Elements [begin, end) of entry `index`, which has n of them, are those of a chunk.
struct ListPart {
  int index;
  int64_t begin, end;

  template <class Entry>
  SIMT_FN ListPart(const EntryList<Entry>& list, uint32_t chunk) : index(list.entry_of(chunk)) {
    const int64_t n = list.entries[index].n;
    begin = int64_t(chunk - list.first_chunk[index]) * kListChunk;
    end = begin + kListChunk < n ? begin + kListChunk : n;
  }
};

/// Up to four neighbours of a tensor.
struct Four {
  float v[4];
};
SIMT_FN bool is_aligned(const float* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }

/// p[at], ..., 0 from p[end] on; `at` is a multiple of 4.
SIMT_FN Four load_four(const float* p, int64_t at, int64_t end) {
  if (at + 4 <= end && is_aligned(p)) {
    const auto four = simt::load_as<simt::F32x4>(p + at);
    return {four.x, four.y, four.z, four.w};
  }
  Four four{};
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i)
    if (at + i < end) four.v[i] = p[at + i];
  return four;
}
SIMT_FN void store_four(float* p, int64_t at, int64_t end, const Four& four) {
  if (at + 4 <= end && is_aligned(p)) {
    simt::store_as(p + at, simt::F32x4{four.v[0], four.v[1], four.v[2], four.v[3]});
    return;
  }
  SIMT_UNROLL
  for (int i = 0; i < 4; ++i)
    if (at + i < end) p[at + i] = four.v[i];
}

}  // namespace apprentice::kernels::SIMT_NS
