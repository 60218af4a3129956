#include <apprentice/base/pinned.h>

#include <map>
#include <mutex>
#include <tuple>
#include <utility>
#include <vector>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/base/stream.h>

namespace apprentice {
namespace {

struct Kept {
  void* data;
  std::unique_ptr<StreamEvent> past;
};

/// Of a device and a class.
using Key = std::tuple<Device::Kind, int, size_t>;

struct Cache {
  std::mutex mutex;
  std::map<Key, std::vector<Kept>> kept;
};

/// Never destroyed: buffers in static objects may outlive it otherwise.
Cache& cache() {
  static Cache* one = new Cache;
  return *one;
}

/// A kept block that no stream uses any more, or null.
void* take_kept(Device device, size_t bytes) {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  auto& blocks = c.kept[{device.kind, device.index, bytes}];
  for (size_t i = 0; i < blocks.size(); ++i) {
    if (blocks[i].past && !blocks[i].past->is_done()) continue;
    void* data = blocks[i].data;
    blocks.erase(blocks.begin() + int64_t(i));
    return data;
  }
  return nullptr;
}

}  // namespace

PinnedBuffer::PinnedBuffer(size_t bytes, Device device)
    : device_(device), bytes_(DeviceAllocator::class_of(bytes)), data_(take_kept(device, bytes_)) {
  if (data_) return;
  data_ = runtime_of(device.kind).allocate_pinned(device.index, bytes_);
  check<DeviceError>(data_ != nullptr, "out of memory: asked for {} bytes of pinned host memory",
                     bytes_);
}

PinnedBuffer::~PinnedBuffer() {
  Cache& c = cache();
  std::lock_guard lock(c.mutex);
  c.kept[{device_.kind, device_.index, bytes_}].push_back({data_, std::move(past_)});
}

void PinnedBuffer::used_in(Stream stream) {
  check<DeviceError>(stream.device == device_, "pinned memory for {} used in a stream of {}",
                     device_.str(), stream.device.str());
  check<DeviceError>(!past_ || stream == stream_, "pinned memory for {} used in two streams",
                     device_.str());
  if (!past_) past_ = std::make_unique<StreamEvent>(device_);
  stream_ = stream;
  past_->record(stream);
}

}  // namespace apprentice
