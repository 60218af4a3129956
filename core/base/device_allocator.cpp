#include <apprentice/base/device_allocator.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/runtime.h>

namespace apprentice {
namespace {

constexpr size_t kSmallest = 512;
/// Labels in an out-of-memory error.
constexpr size_t kUsersShown = 3;

thread_local std::string_view this_label;

}  // namespace

MemoryLabel::MemoryLabel(std::string_view label) : before_(std::exchange(this_label, label)) {}
MemoryLabel::~MemoryLabel() { this_label = before_; }
std::string_view MemoryLabel::current() { return this_label; }

DeviceAllocator::DeviceAllocator(Device device) : device_(device) {}

size_t DeviceAllocator::class_of(size_t bytes) {
  check<DeviceError>(bytes <= SIZE_MAX / 2, "out of memory: asked for {} bytes", bytes);
  const size_t wanted = std::max(bytes, kSmallest);
  const size_t step = std::max(kSmallest, std::bit_floor(wanted) / 8);
  return (wanted + step - 1) / step * step;
}

void* DeviceAllocator::take_kept(const Key& key) {
  const auto at = kept_.find(key);
  if (at == kept_.end() || at->second.empty()) return nullptr;
  void* data = at->second.back();
  at->second.pop_back();
  use_.cached -= std::get<size_t>(key);
  return data;
}

/// Blocks whose other streams are past their use go to the kept ones.
void DeviceAllocator::collect_pending(bool wait) {
  Runtime& runtime = runtime_of(device_.kind);
  std::erase_if(pending_, [&](Pending& p) {
    if (wait)
      for (const Stream& stream : p.block.other_streams) runtime.synchronize(stream);
    if (!std::all_of(p.events.begin(), p.events.end(),
                     [&](void* event) { return runtime.is_done(event); }))
      return false;
    for (void* event : p.events) runtime.destroy_event(device_.index, event);
    kept_[{nullptr, p.block.stream.handle, p.block.bytes}].push_back(p.data);
    return true;
  });
}

void DeviceAllocator::give_back_kept(const Graph* graph) {
  Runtime& runtime = runtime_of(device_.kind);
  std::erase_if(kept_, [&](const auto& entry) {
    if (std::get<const Graph*>(entry.first) != graph) return false;
    for (void* block : entry.second) runtime.free(device_.index, block);
    use_.cached -= entry.second.size() * std::get<size_t>(entry.first);
    return true;
  });
}

void* DeviceAllocator::allocate(size_t bytes, Stream stream) {
  check<DeviceError>(stream.device == device_, "memory of {} asked for a stream of {}",
                     device_.str(), stream.device.str());
  const size_t size = class_of(bytes);
  const Graph* graph = Graph::recording();
  if (graph && !(graph->device() == device_)) graph = nullptr;
  std::lock_guard lock(mutex_);
  if (!graph) collect_pending(/*wait=*/false);
  void* data = take_kept({graph, stream.handle, size});
  if (!data) {
    Runtime& runtime = runtime_of(device_.kind);
    ++device_calls_;
    data = runtime.allocate(device_.index, size);
    if (!data && !graph) {  // a recording cannot wait for the device
      collect_pending(/*wait=*/true);
      give_back_kept(nullptr);
      data = runtime.allocate(device_.index, size);
    }
    if (!data) out_of_memory(bytes);
  }
  live_.emplace(data, Block{size, stream, std::string(MemoryLabel::current()), graph, {}});
  use_.live += size;
  use_.peak = std::max(use_.peak, use_.live);
  return data;
}

void DeviceAllocator::free(void* data) noexcept {
  std::lock_guard lock(mutex_);
  auto node = live_.extract(data);
  if (node.empty()) return;
  Block& block = node.mapped();
  use_.live -= block.bytes;
  use_.cached += block.bytes;
  if (block.other_streams.empty()) {
    kept_[{block.graph, block.stream.handle, block.bytes}].push_back(data);
    return;
  }
  if (block.graph) {  // which of its streams is past it, a recording does not say: nobody's again
    kept_[{block.graph, /*no stream*/ this, block.bytes}].push_back(data);
    return;
  }
  Runtime& runtime = runtime_of(device_.kind);
  Pending pending{data, std::move(block), {}};
  for (const Stream& stream : pending.block.other_streams) {
    pending.events.push_back(runtime.create_event(device_.index));
    runtime.record(pending.events.back(), stream);
  }
  pending_.push_back(std::move(pending));
}

void DeviceAllocator::used_in(void* data, Stream stream) {
  std::lock_guard lock(mutex_);
  const auto at = live_.find(data);
  check(at != live_.end(), "device memory: a block of somebody else was named");
  std::vector<Stream>& others = at->second.other_streams;
  if (!(stream == at->second.stream) &&
      std::find(others.begin(), others.end(), stream) == others.end())
    others.push_back(stream);
}

void DeviceAllocator::release_graph(const Graph* graph) {
  std::lock_guard lock(mutex_);
  for (auto& [data, block] : live_)
    if (block.graph == graph) block.graph = nullptr;
  give_back_kept(graph);
}

size_t DeviceAllocator::bytes_of(const Graph* graph) const {
  std::lock_guard lock(mutex_);
  size_t bytes = 0;
  for (const auto& [data, block] : live_)
    if (block.graph == graph) bytes += block.bytes;
  for (const auto& [key, blocks] : kept_)
    if (std::get<const Graph*>(key) == graph) bytes += blocks.size() * std::get<size_t>(key);
  return bytes;
}

MemoryUse DeviceAllocator::use() const {
  std::lock_guard lock(mutex_);
  return use_;
}

size_t DeviceAllocator::device_calls() const {
  std::lock_guard lock(mutex_);
  return device_calls_;
}

std::vector<std::pair<std::string, size_t>> DeviceAllocator::users_locked() const {
  std::map<std::string, size_t> by_label;
  for (const auto& [data, block] : live_)
    by_label[block.label.empty() ? "(no name)" : block.label] += block.bytes;
  std::vector<std::pair<std::string, size_t>> users(by_label.begin(), by_label.end());
  std::stable_sort(users.begin(), users.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  return users;
}

std::vector<std::pair<std::string, size_t>> DeviceAllocator::users() const {
  std::lock_guard lock(mutex_);
  return users_locked();
}

void DeviceAllocator::out_of_memory(size_t bytes) const {
  const Runtime::Memory memory = runtime_of(device_.kind).memory(device_.index);
  std::string users;
  const auto all = users_locked();
  for (size_t i = 0; i < std::min(kUsersShown, all.size()); ++i)
    users += fmt::format("{}{} {}", i ? ", " : "; largest users: ", all[i].first, all[i].second);
  throw DeviceError(
      fmt::format("{}: out of memory: asked for {} bytes, {} of {} are free, {} in use here{}",
                  device_.str(), bytes, memory.free, memory.total, use_.live, users));
}

void DeviceAllocator::release_cached() {
  std::lock_guard lock(mutex_);
  collect_pending(/*wait=*/true);
  give_back_kept(nullptr);
}

DeviceAllocator& device_allocator(Device device) {
  check<DeviceError>(!device.is_cpu(), "device_allocator: the CPU has none");
  require_device(device);
  static std::mutex mutex;
  // Never destroyed: memory in static objects may outlive it otherwise.
  static auto* all = new std::map<std::pair<Device::Kind, int>, std::unique_ptr<DeviceAllocator>>;
  std::lock_guard lock(mutex);
  auto& allocator = (*all)[{device.kind, device.index}];
  if (!allocator) allocator = std::make_unique<DeviceAllocator>(device);
  return *allocator;
}

}  // namespace apprentice
