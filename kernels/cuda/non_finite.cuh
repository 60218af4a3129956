#pragma once

#include <apprentice/kernels/non_finite.h>
#include <apprentice/kernels/cuda/tensor_list_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

struct FiniteEntry {
  const float* x;
  int64_t n;
  int64_t* count;  ///< null: nobody asks
  uint32_t chunks() const { return chunks_of(n); }
};

/// Blocks take chunks of the list, thread t of a block the fours t, t + threads, ... of a chunk. A
/// warp that has found something adds it up; else nothing is written.
SIMT_KERNEL_BOUNDS(kListThreads, 4)
non_finite_kernel(SIMT_GRID_CONSTANT const EntryList<FiniteEntry> list, int64_t* total) {
  using Word = unsigned long long;
  const auto add = [](int64_t* to, int n) {
    if (to) simt::atomic_add(reinterpret_cast<Word*>(to), Word(n));
  };
  for (uint32_t chunk = blockIdx.x; chunk < list.chunks(); chunk += gridDim.x) {
    const ListPart part(list, chunk);
    const FiniteEntry& entry = list.entries[part.index];
    int found = 0;
    for (int64_t at = part.begin + 4 * threadIdx.x; at < part.end; at += 4 * kListThreads) {
      const Four x = load_four(entry.x, at, part.end);
      SIMT_UNROLL
      for (int i = 0; i < 4; ++i) found += x.v[i] - x.v[i] == 0 ? 0 : 1;
    }
    if (!simt::any(found != 0)) continue;
    found = simt::reduce_add(found);
    if (threadIdx.x % 32 != 0) continue;
    add(entry.count, found);
    add(total, found);
  }
}

inline void non_finite(const NonFinite<float>::Args& a, simt::Stream stream) {
  for_entry_lists(
      a.tensors.size(),
      [&](size_t i) {
        return FiniteEntry{a.tensors[i].data, a.tensors[i].numel(),
                           a.counts ? a.counts.data + i : nullptr};
      },
      [&](const EntryList<FiniteEntry>& list) {
        simt::launch(non_finite_kernel, list.blocks(), kListThreads, 0, stream, list, a.total.data);
      });
}

}  // namespace apprentice::kernels::SIMT_NS
