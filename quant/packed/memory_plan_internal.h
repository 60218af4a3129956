#pragma once

#include <cstdint>
#include <vector>

namespace apprentice::packed {

/// One block of memory and the steps [first, last] during which it holds something.
struct Lifetime {
  int64_t bytes;
  size_t first, last;
};

/// Where blocks lie in one arena: those that live at the same time never overlap.
struct MemoryPlan {
  std::vector<Lifetime> blocks;
  std::vector<int64_t> offset;  ///< of each, multiples of a cache line
  int64_t bytes = 0;            ///< of the arena
};

/// Largest blocks first, each at the lowest place that is free all its life (Pisarchyk and Lee
/// 2020, arXiv:2001.03288, greedy by size).
MemoryPlan plan_memory(const std::vector<Lifetime>& blocks);

}  // namespace apprentice::packed
