#include <apprentice/data/resident_set.h>

#include <algorithm>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/data/batch_internal.h>

namespace apprentice::data {
namespace {

/// Bytes of one copy, which go through pinned memory as a piece.
constexpr size_t kPiece = size_t(16) << 20;

/// `bytes` at `from` in a tensor of the device.
Tensor upload(const void* from, const Shape& shape, Dtype dtype, Device device) {
  Tensor there = Tensor::empty(shape, dtype, device);
  const auto bytes = size_t(shape.numel()) * size_of(dtype);
  const auto* begin = static_cast<const std::byte*>(from);
  for (size_t at = 0; at < bytes; at += kPiece) {
    copy_bytes(there.bytes() + at, device, begin + at, {}, std::min(kPiece, bytes - at),
               current_stream(device));
    synchronize(current_stream(device));  // so that two pieces never lie in pinned memory
  }
  return there;
}

void check_fits(const ImageSet& set, Device device) {
  constexpr double kMb = 1e6;
  const size_t needed = set.pixels.size() + set.labels.size() * sizeof(int64_t);
  const size_t free =
      runtime_of(device.kind).memory(device.index).free + device_allocator(device).use().cached;
  check<DeviceError>(needed <= free,
                     "data: set '{}' takes {:.1f} MB on {}, expected at most the {:.1f} MB that "
                     "are free there; with data.resident=false batches are copied instead",
                     set.name, double(needed) / kMb, device.str(), double(free) / kMb);
}

}  // namespace

ResidentSet::ResidentSet(std::shared_ptr<const ImageSet> set, Device device)
    : set_(std::move(set)), device_(device) {
  require_device(device);
  check_sizes(*set_);
  if (device.is_cpu()) return;
  check_fits(*set_, device);
  const MemoryLabel label("data set");
  pixels_ = upload(set_->pixels.data(), {set_->count, set_->height, set_->width, set_->channels},
                   Dtype::u8, device);
  labels_ = upload(set_->labels.data(), {set_->count}, Dtype::i64, device);
}

Batch ResidentSet::make_batch(const std::vector<int64_t>& ids, const Augmentation& augmentation,
                              uint64_t seed, int64_t epoch) const {
  if (device_.is_cpu()) return data::make_batch(*set_, ids, augmentation, seed, epoch);
  Batch batch = make_requested(request(ids, seed, epoch), augmentation);
  batch.ids = ids;
  batch.epoch = epoch;
  return batch;
}

Tensor ResidentSet::request(const std::vector<int64_t>& ids, uint64_t seed, int64_t epoch) const {
  return make_request(*set_, ids, seed, epoch, device_);
}

Batch ResidentSet::make_requested(const Tensor& request, const Augmentation& augmentation) const {
  check<DeviceError>(!device_.is_cpu() && request.device() == device_,
                     "data: samples of a set on {} asked for on {}, expected one device other than "
                     "the CPU",
                     device_.str(), request.device().str());
  // The set is of the stream that it was copied in.
  for (const Tensor* part : {&pixels_, &labels_})
    if (part->numel() > 0)
      device_allocator(device_).used_in(const_cast<std::byte*>(part->bytes()),
                                        current_stream(device_));
  return data::make_requested(
      *set_, {.pixels = pixels_.view<uint8_t, 4>(), .labels = labels_.view<int64_t, 1>()}, request,
      augmentation);
}

}  // namespace apprentice::data
