#pragma once

#include <cstdint>
#include <vector>

namespace apprentice::packed {

/// Where the activations of a network lie: those that are never needed at the same time share a
/// slot.
struct MemoryPlan {
  std::vector<int> slot;            ///< of each layer's output
  std::vector<int64_t> slot_bytes;  ///< an image
};

/// One output: its bytes an image and the last layer that reads it (at least the one that makes
/// it).
struct Lifetime {
  int64_t bytes;
  size_t last_reader;
};
/// Layer i makes output i; slots are taken first fit in the order of the layers, so that no two
/// outputs that live at once share one.
MemoryPlan plan_memory(const std::vector<Lifetime>& outputs);

}  // namespace apprentice::packed
