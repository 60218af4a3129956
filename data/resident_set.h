#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <apprentice/core/tensor.h>
#include <apprentice/data/batch.h>
#include <apprentice/data/dataset.h>

namespace apprentice::data {

/// A set whose pixels and labels lie in the memory of a device, which makes batches of them in one
/// launch: the same numbers as the CPU's make_batch. On the CPU it is the set itself.
class ResidentSet {
 public:
  /// Copies the set there and waits for it. DeviceError with both numbers if it takes more memory
  /// than the device has free; ShapeError if the sizes of the set do not agree.
  ResidentSet(std::shared_ptr<const ImageSet> set, Device device);

  const ImageSet& set() const { return *set_; }
  Device device() const { return device_; }
  /// As data::make_batch, on the device in its current stream; does not wait. The same in two
  /// halves below.
  Batch make_batch(const std::vector<int64_t>& ids, const Augmentation& augmentation = {},
                   uint64_t seed = 0, int64_t epoch = 0) const;
  /// Says on the device which samples a batch shall have (Draft::request). Error as make_batch.
  Tensor request(const std::vector<int64_t>& ids, uint64_t seed, int64_t epoch) const;
  /// Makes what was asked for, x and labels: one launch, so it may be recorded (base/graph.h).
  Batch make_requested(const Tensor& request, const Augmentation& augmentation) const;

 private:
  std::shared_ptr<const ImageSet> set_;
  Device device_;
  Tensor pixels_, labels_;  ///< undefined on the CPU
};

}  // namespace apprentice::data
