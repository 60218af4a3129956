#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/runtime.h>
#include <apprentice/packed/executor_internal.h>

// A forward on another device than the CPU: where its memory is from, in which order its work
// comes, and the way of images and logits between host and device.
namespace apprentice::packed {
namespace {

/// Work of a forward in its stream: after the one before it, and before the one behind it. What is
/// recorded in a graph runs at other times, whose order is the caller's.
class Turn {
 public:
  Turn(StreamEvent& past, Stream& last, Stream own) : past_(past), last_(last), own_(own) {
    if (!(own == last) && !Graph::recording()) past.wait(own);
  }
  ~Turn() {
    if (Graph::recording()) return;
    try {
      past_.record(own_);
      last_ = own_;
    } catch (const DeviceError&) {
      // The device is lost, and the next call on it says so.
    }
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

 private:
  StreamEvent& past_;
  Stream& last_;
  Stream own_;
};

/// Marks in the stream before and behind each layer.
class DeviceClock final : public LayerClock {
 public:
  DeviceClock(size_t layers, Stream stream) : stream_(stream) {
    for (size_t i = 0; i < 2 * layers; ++i) marks_.emplace_back(stream.device);
  }
  void begin(size_t layer) override { marks_[2 * layer].record(stream_); }
  void end(size_t layer) override { marks_[2 * layer + 1].record(stream_); }

  /// Waits for the layers of a chunk and adds what they took.
  void add_to(std::vector<double>& seconds) const {
    synchronize(stream_);
    for (size_t i = 0; i < seconds.size(); ++i)
      seconds[i] += marks_[2 * i + 1].milliseconds_since(marks_[2 * i]) * 1e-3;
  }

 private:
  Stream stream_;
  std::deque<StreamEvent> marks_;
};

}  // namespace

void Executor::finish() {
  if (device_.is_cpu()) return;
  past_ = std::make_unique<StreamEvent>(device_);
  last_ = {device_};
  past_->record(last_);
}

Executor::~Executor() {
  if (!past_) return;
  try {
    past_->wait({device_});
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so.
  }
}

void Executor::reserve_on_device(int64_t images) {
  if (images <= reserved_) return;
  refuse_in_recording("the first forward of a packed network, or of its largest batch,");
  const MemoryLabel label("packed activations");
  const Turn turn(*past_, last_, {device_});
  const StreamGuard queue({device_});
  arenas_.resize(1);
  reserved_ = 0;
  arenas_[0].reserve(schedule(images), device_);
  reserved_ = images;
}

void Executor::reserve_staging(const Batch& batch) {
  const int64_t images = batch.x.size(0);
  if (images <= staging_.images) return;
  const MemoryLabel label("packed images");
  const Turn turn(*past_, last_, {device_});
  const StreamGuard queue({device_});
  const auto bytes = [](int64_t floats) { return size_t(floats) * sizeof(float); };
  const int64_t chunk = std::min(images, arenas_[0].schedule.images);
  staging_ = {};
  staging_.x = std::make_unique<PinnedBuffer>(bytes(batch.x.numel()), device_);
  staging_.logits = std::make_unique<PinnedBuffer>(bytes(batch.logits.numel()), device_);
  staging_.device_x = std::make_unique<Buffer>(bytes(batch.x.numel() / images * chunk), device_);
  staging_.device_logits = std::make_unique<Buffer>(bytes(batch.logits.numel()), device_);
  staging_.images = images;
}

/// Sends images of the host on their way to the device; what is left to do with them there.
Batch Executor::send_images(const Batch& batch, int64_t first, int64_t images) const {
  const int64_t floats = batch.x.numel() / batch.x.size(0), classes = batch.logits.size(1);
  const size_t bytes = size_t(images * floats) * sizeof(float);
  float* const pinned = static_cast<float*>(staging_.x->data()) + first * floats;
  auto* const x = static_cast<float*>(staging_.device_x->data());
  std::memcpy(pinned, batch.x.data + first * floats, bytes);
  runtime_of(device_.kind).copy_to_device(x, pinned, bytes, batch.stream);
  Batch part = batch;
  part.x = {x, batch.x.sizes};
  part.x.sizes[0] = images;
  part.logits = {static_cast<float*>(staging_.device_logits->data()) + first * classes,
                 {images, classes}};
  part.first_image = first;
  return part;
}

/// Waits for the forward, and hands its logits to the host.
void Executor::fetch_logits(const Batch& batch) const {
  const size_t bytes = size_t(batch.logits.numel()) * sizeof(float);
  void* const pinned = staging_.logits->data();
  runtime_of(device_.kind)
      .copy_to_host(pinned, staging_.device_logits->data(), bytes, batch.stream);
  synchronize(batch.stream);
  std::memcpy(batch.logits.data, pinned, bytes);
}

void Executor::run_on_device(const Batch& batch) {
  const int64_t n = batch.x.size(0);
  if (n == 0) return;
  reserve_on_device(n);
  if (batch.on_host) {
    refuse_in_recording("a forward of images on the host");
    reserve_staging(batch);
  }
  const Arena& arena = arenas_[0];
  const int64_t chunk = std::min({n, arena.schedule.images, batch.trace ? kTraceImages : n});
  std::optional<DeviceClock> clock;
  if (batch.seconds) clock.emplace(steps_.size(), batch.stream);
  LayerClock* const ticks = clock ? &*clock : nullptr;
  const Turn turn(*past_, last_, batch.stream);
  for (int64_t first = 0; first < n; first += chunk) {
    const int64_t images = std::min(chunk, n - first);
    if (batch.on_host) {
      run_chunk(arena, send_images(batch, first, images), 0, images, ticks);
    } else {
      run_chunk(arena, batch, first, images, ticks);
    }
    if (clock) clock->add_to(*batch.seconds);
  }
  if (batch.on_host) fetch_logits(batch);
}

}  // namespace apprentice::packed
