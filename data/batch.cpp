#include <apprentice/data/batch.h>

#include <apprentice/base/error.h>
#include <apprentice/data/batch_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::data {

void check_sizes(const ImageSet& set) {
  check<ShapeError>(
      set.channels == 3 && int64_t(set.labels.size()) == set.count &&
          int64_t(set.pixels.size()) == set.count * set.image_bytes(),
      "batch: set '{}' holds {} labels and {} bytes of pixels, expected {} of {}x{}x3", set.name,
      set.labels.size(), set.pixels.size(), set.count, set.height, set.width);
}

void check_samples(const ImageSet& set, const std::vector<int64_t>& ids) {
  const int64_t classes = int64_t(set.classes.size());
  for (const int64_t id : ids) {
    check(id >= 0 && id < set.count, "batch: got sample {}, expected 0 to {}", id, set.count - 1);
    const int64_t label = set.labels[size_t(id)];
    check(label >= 0 && label < classes, "batch: sample {} has label {}, expected 0 to {}", id,
          label, classes - 1);
  }
}

Batch empty_batch(const ImageSet& set, const std::vector<int64_t>& ids, int64_t epoch,
                  Device device) {
  const auto n = int64_t(ids.size());
  Batch batch;
  batch.ids = ids;
  batch.epoch = epoch;
  batch.x = Tensor::empty({n, set.height, set.width, set.channels}, Dtype::f32, device);
  batch.labels = Tensor::empty({n}, Dtype::i64, device);
  return batch;
}

Batch Batch::to(Device device) const {
  Batch there = *this;
  there.x = x.to(device);
  there.labels = labels.to(device);
  return there;
}

Batch make_batch(const ImageSet& set, const std::vector<int64_t>& ids,
                 const Augmentation& augmentation, uint64_t seed, int64_t epoch) {
  check_sizes(set);
  check_samples(set, ids);
  Batch batch = empty_batch(set, ids, epoch, {});
  const int64_t key[] = {int64_t(seed), epoch};
  kernels::launch<kernels::AugmentImages>(
      {.pixels = {set.pixels.data(), {set.count, set.height, set.width, set.channels}},
       .labels = {set.labels.data(), {set.count}},
       .key = {key, {2}},
       .ids = {ids.data(), {int64_t(ids.size())}},
       .mean = set.normalization.mean,
       .deviation = set.normalization.deviation,
       .augmentation = augmentation,
       .x = batch.x.view<float, 4>(),
       .y = batch.labels.view<int64_t, 1>()});
  return batch;
}

}  // namespace apprentice::data
