#include <apprentice/data/batch.h>

#include <apprentice/base/error.h>
#include <apprentice/data/batch_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::data {
namespace {

/// Seed and epoch come before the ids.
constexpr int64_t kKey = 2;

void check_samples(const ImageSet& set, const std::vector<int64_t>& ids) {
  const int64_t classes = int64_t(set.classes.size());
  for (const int64_t id : ids) {
    check(id >= 0 && id < set.count, "batch: got sample {}, expected 0 to {}", id, set.count - 1);
    const int64_t label = set.labels[size_t(id)];
    check(label >= 0 && label < classes, "batch: sample {} has label {}, expected 0 to {}", id,
          label, classes - 1);
  }
}

}  // namespace

void check_sizes(const ImageSet& set) {
  check<ShapeError>(
      set.channels == 3 && int64_t(set.labels.size()) == set.count &&
          int64_t(set.pixels.size()) == set.count * set.image_bytes(),
      "batch: set '{}' holds {} labels and {} bytes of pixels, expected {} of {}x{}x3", set.name,
      set.labels.size(), set.pixels.size(), set.count, set.height, set.width);
}

Tensor make_request(const ImageSet& set, const std::vector<int64_t>& ids, uint64_t seed,
                    int64_t epoch, Device device) {
  check_samples(set, ids);
  std::vector<int64_t> numbers{int64_t(seed), epoch};
  numbers.insert(numbers.end(), ids.begin(), ids.end());
  Tensor request = Tensor::empty({int64_t(numbers.size())}, Dtype::i64, device);
  copy_bytes(request.bytes(), device, numbers.data(), {}, numbers.size() * sizeof(int64_t),
             current_stream(device));
  return request;
}

Batch make_requested(const ImageSet& set, const Samples& samples, const Tensor& request,
                     const Augmentation& augmentation) {
  const int64_t n = request.numel() - kKey;
  Batch batch;
  batch.x = Tensor::empty({n, set.height, set.width, set.channels}, Dtype::f32, request.device());
  batch.labels = request.new_empty({n});
  const int64_t* numbers = request.flat<int64_t>().data;
  kernels::launch<kernels::AugmentImages>({.pixels = samples.pixels,
                                           .labels = samples.labels,
                                           .key = {numbers, {kKey}},
                                           .ids = {numbers + kKey, {n}},
                                           .mean = set.normalization.mean,
                                           .deviation = set.normalization.deviation,
                                           .augmentation = augmentation,
                                           .x = batch.x.view<float, 4>(),
                                           .y = batch.labels.view<int64_t, 1>()},
                                          current_stream(request.device()));
  return batch;
}

Batch Batch::to(Device device) const {
  Batch there = *this;
  there.x = x.to(device);
  there.labels = labels.to(device);
  return there;
}

Draft Draft::clone() const {
  Draft own = *this;
  for (Tensor* part : {&own.request, &own.x, &own.labels})
    if (part->defined()) *part = part->clone();
  return own;
}

void Draft::copy_from(const Draft& other) {
  ids = other.ids;
  epoch = other.epoch;
  index = other.index;
  for (Tensor Draft::*part : {&Draft::request, &Draft::x, &Draft::labels})
    if ((other.*part).defined()) (this->*part).copy_from(other.*part);
}

Batch make_batch(const ImageSet& set, const std::vector<int64_t>& ids,
                 const Augmentation& augmentation, uint64_t seed, int64_t epoch) {
  check_sizes(set);
  const Tensor request = make_request(set, ids, seed, epoch, {});
  Batch batch = make_requested(
      set,
      {.pixels = {set.pixels.data(), {set.count, set.height, set.width, set.channels}},
       .labels = {set.labels.data(), {set.count}}},
      request, augmentation);
  batch.ids = ids;
  batch.epoch = epoch;
  return batch;
}

}  // namespace apprentice::data
