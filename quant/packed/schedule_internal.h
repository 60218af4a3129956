#pragma once

#include <apprentice/packed/memory_plan_internal.h>

namespace apprentice::packed {

/// What a schedule knows of one layer.
struct LayerWork {
  int x = -1, residual = -1;      ///< layers whose outputs it reads; -1: the image, or none
  int64_t reads = 0, writes = 0;  ///< bytes of activations an image
};

/// Layers [begin, end), which take `images` of a chunk through all of them before the next ones.
struct Segment {
  size_t begin, end;
  int64_t images;
};

/// How a chunk of images goes through the network. Early layers take few images at a time, so that
/// their large activations stay in the second-level cache; late ones many, so that their large
/// weights are read once for all of them.
struct Schedule {
  int64_t images = 0;
  std::vector<Segment> segments;
  /// Of each layer's output: it is read in a later segment, so it holds all images of the chunk.
  std::vector<bool> whole;
  MemoryPlan memory;  ///< of the layers' outputs; the last layer's is the caller's
};

/// A schedule for chunks of up to `images`: each layer takes as many as make its activations fit
/// `cache_bytes` (a power of two, at least 1); all of them if `cache_bytes` is 0.
Schedule make_schedule(const std::vector<LayerWork>& layers, int64_t images, int64_t cache_bytes);

}  // namespace apprentice::packed
