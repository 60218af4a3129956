#include <apprentice/data/batch.h>

#include <algorithm>

#include <apprentice/base/error.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/normalize.h>

namespace apprentice::data {
namespace {

/// The bytes of the samples, one after the other, [n, h, w, c] u8.
Tensor gather(const ImageSet& set, const std::vector<int64_t>& ids) {
  check<ShapeError>(
      set.channels == 3 && int64_t(set.labels.size()) == set.count &&
          int64_t(set.pixels.size()) == set.count * set.image_bytes(),
      "batch: set '{}' holds {} labels and {} bytes of pixels, expected {} of {}x{}x3", set.name,
      set.labels.size(), set.pixels.size(), set.count, set.height, set.width);
  Tensor pixels =
      Tensor::empty({int64_t(ids.size()), set.height, set.width, set.channels}, Dtype::u8, {});
  uint8_t* to = pixels.data<uint8_t>();
  for (const int64_t id : ids) {
    check(id >= 0 && id < set.count, "batch: got sample {}, expected 0 to {}", id, set.count - 1);
    const auto image = set.image(id);
    to = std::copy(image.begin(), image.end(), to);
  }
  return pixels;
}

}  // namespace

Batch Batch::to(Device device) const {
  Batch there = *this;
  there.x = x.to(device);
  there.labels = labels.to(device);
  return there;
}

Batch make_batch(const ImageSet& set, const std::vector<int64_t>& ids,
                 const Augmentation& augmentation, uint64_t seed, int64_t epoch) {
  const int64_t n = int64_t(ids.size()), classes = int64_t(set.classes.size());
  const Tensor pixels = gather(set, ids);
  Batch batch;
  batch.ids = ids;
  batch.epoch = epoch;
  batch.x = Tensor::empty({n, set.height, set.width, set.channels}, Dtype::f32, {});
  batch.labels = Tensor::empty({n}, Dtype::i64, {});
  std::vector<int32_t> shifts(size_t(2 * n));
  std::vector<uint8_t> mirrors(size_t(n), 0);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t id = ids[size_t(i)];
    const Transform transform = draw_transform(augmentation, seed, epoch, id);
    shifts[size_t(2 * i)] = transform.dy;
    shifts[size_t(2 * i + 1)] = transform.dx;
    mirrors[size_t(i)] = transform.mirror ? 1 : 0;
    const int64_t label = set.labels[size_t(id)];
    check(label >= 0 && label < classes, "batch: sample {} has label {}, expected 0 to {}", id,
          label, classes - 1);
    batch.labels.data<int64_t>()[i] = label;
  }
  const bool changed = augmentation.max_shift != 0 || augmentation.mirror;
  const Normalization& normal = set.normalization;
  kernels::launch<kernels::NormalizeImages>({.x = pixels.view<uint8_t, 4>(),
                                             .y = batch.x.view<float, 4>(),
                                             .mean = {normal.mean.data(), {set.channels}},
                                             .std = {normal.deviation.data(), {set.channels}},
                                             .shift = {changed ? shifts.data() : nullptr, {n, 2}},
                                             .mirror = {changed ? mirrors.data() : nullptr, {n}}});
  return batch;
}

}  // namespace apprentice::data
