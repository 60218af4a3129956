#pragma once

#include <cstdint>
#include <vector>

#include <apprentice/core/tensor.h>
#include <apprentice/data/augment.h>
#include <apprentice/data/dataset.h>

namespace apprentice::data {

struct Batch {
  Tensor x;       ///< [n, h, w, c] f32, normalised and augmented
  Tensor labels;  ///< [n] i64
  /// Index of each sample in its set; stays on the host.
  std::vector<int64_t> ids;
  int64_t epoch = 0, index = 0;  ///< which batch of which epoch

  int64_t size() const { return int64_t(ids.size()); }
  /// The same on another device, copied in its current stream; *this if it lies there.
  Batch to(Device device) const;
};

/// A batch that its device has yet to make: all that this takes lies there (Loader::make).
struct Draft {
  std::vector<int64_t> ids;  ///< as in Batch
  int64_t epoch = 0, index = 0;
  Tensor request;    ///< of a set that lies on the device, [2 + n] i64: seed, epoch, ids
  Tensor x, labels;  ///< of any other: the batch's own

  int64_t size() const { return int64_t(ids.size()); }
  /// The same in memory of its own, copied in the current stream.
  Draft clone() const;
  /// Becomes `other`, of as many samples and of the same kind, in its own memory.
  void copy_from(const Draft& other);
};

/// Samples `ids` of `set`, in that order, on the CPU, as the loader would give them in `epoch`
/// under `seed`. Error if an id is not in the set or its label is no class; ShapeError if the sizes
/// of the set do not agree.
Batch make_batch(const ImageSet& set, const std::vector<int64_t>& ids,
                 const Augmentation& augmentation = {}, uint64_t seed = 0, int64_t epoch = 0);

}  // namespace apprentice::data
