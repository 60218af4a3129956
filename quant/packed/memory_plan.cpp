#include <algorithm>
#include <numeric>

#include <apprentice/packed/memory_plan_internal.h>

namespace apprentice::packed {
namespace {

constexpr int64_t kCacheLine = 64;

}  // namespace

MemoryPlan plan_memory(const std::vector<Lifetime>& blocks) {
  MemoryPlan plan;
  plan.blocks = blocks;
  plan.offset.assign(blocks.size(), 0);
  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t(0));
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return blocks[a].bytes > blocks[b].bytes; });
  const auto end_of = [&](size_t i) {
    return plan.offset[i] + (blocks[i].bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  };
  std::vector<size_t> placed;  // by offset
  for (const size_t i : order) {
    int64_t offset = 0;
    for (const size_t j : placed) {
      const bool together = blocks[i].first <= blocks[j].last && blocks[j].first <= blocks[i].last;
      if (!together || end_of(j) <= offset) continue;
      if (offset + blocks[i].bytes <= plan.offset[j]) break;
      offset = end_of(j);
    }
    plan.offset[i] = offset;
    plan.bytes = std::max(plan.bytes, end_of(i));
    const auto later = [&](int64_t value, size_t j) { return value < plan.offset[j]; };
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset, later), i);
  }
  return plan;
}

}  // namespace apprentice::packed
