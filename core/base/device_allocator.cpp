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
constexpr const char* kNoName = "(no name)";

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

/// Blocks whose other streams are past their use go to the kept ones. Only a stream that is not
/// past it is waited for: others may be gone.
void DeviceAllocator::collect_pending(bool wait) {
  Runtime& runtime = runtime_of(device_.kind);
  const auto past = [&](const std::pair<Stream, void*>& use) {
    if (runtime.is_done(use.second)) return true;
    if (wait) runtime.synchronize(use.first);
    return wait;
  };
  for (size_t i = 0; i < pending_.size();) {
    if (!std::all_of(pending_[i].events.begin(), pending_[i].events.end(), past)) {
      ++i;
      continue;
    }
    const Pending p = std::move(pending_[i]);
    pending_.erase(pending_.begin() + int64_t(i));
    kept_[{nullptr, p.stream.handle, p.bytes}].push_back(p.data);
    for (const auto& [stream, event] : p.events) runtime.destroy_event(device_.index, event);
  }
}

/// Nothing is kept of them, though the device may be lost.
void DeviceAllocator::give_back_kept(const Graph* graph) {
  std::vector<void*> blocks;
  std::erase_if(kept_, [&](const auto& entry) {
    if (std::get<const Graph*>(entry.first) != graph) return false;
    blocks.insert(blocks.end(), entry.second.begin(), entry.second.end());
    use_.cached -= entry.second.size() * std::get<size_t>(entry.first);
    return true;
  });
  for (void* block : blocks) runtime_of(device_.kind).free(device_.index, block);
}

/// The graph of this device that this thread records, or null.
const Graph* DeviceAllocator::recording_here() const {
  const Graph* graph = Graph::recording();
  return graph && graph->device() == device_ ? graph : nullptr;
}

/// From the device, or null.
void* DeviceAllocator::take_new(size_t size, const Graph* graph) {
  Runtime& runtime = runtime_of(device_.kind);
  ++device_calls_;
  void* data = runtime.allocate(device_.index, size);
  if (!data && !graph) {  // a recording cannot wait for the device
    collect_pending(/*wait=*/true);
    give_back_kept(nullptr);
    data = runtime.allocate(device_.index, size);
  }
  if (data && graph) ++graphs_[graph].blocks[{size, std::string(MemoryLabel::current())}];
  return data;
}

void* DeviceAllocator::allocate(size_t bytes, Stream stream) {
  check<DeviceError>(stream.device == device_, "memory of {} asked for a stream of {}",
                     device_.str(), stream.device.str());
  const size_t size = class_of(bytes);
  const Graph* graph = recording_here();
  std::lock_guard lock(mutex_);
  if (!graph) collect_pending(/*wait=*/false);
  void* data = take_kept({graph, stream.handle, size});
  if (!data) data = take_new(size, graph);
  if (!data) out_of_memory(bytes);
  if (graph) graphs_[graph].asked += size;
  live_.emplace(data, Block{size, stream, std::string(MemoryLabel::current()), graph});
  use_.live += size;
  use_.peak = std::max(use_.peak, use_.live);
  return data;
}

void DeviceAllocator::free(void* data) noexcept {
  std::lock_guard lock(mutex_);
  const auto at = live_.find(data);
  if (at == live_.end()) return;
  Block& block = at->second;
  const Graph* recording = recording_here();
  if (recording && block.graph != recording && (block.graph_gone || !block.other_streams.empty())) {
    block.freed_in = recording;  // an event of now would be one of the recording
    return;
  }
  retire(data, block);
  live_.erase(at);
}

DeviceAllocator::Pending DeviceAllocator::pending_of(void* data, const Block& block) {
  Runtime& runtime = runtime_of(device_.kind);
  Pending pending{data, block.bytes, block.stream};
  for (const Stream& stream : block.other_streams) {
    pending.events.emplace_back(stream, runtime.create_event(device_.index));
    runtime.record(pending.events.back().second, stream);
  }
  return pending;
}

/// Where a block goes that is not live any more.
void DeviceAllocator::retire(void* data, const Block& block) noexcept {
  use_.live -= block.bytes;
  try {
    if (block.graph_gone) {
      runtime_of(device_.kind).free(device_.index, data);
      return;
    }
    if (block.other_streams.empty())
      kept_[{block.graph, block.stream.handle, block.bytes}].push_back(data);
    else if (block.graph)  // which stream is past it, a recording does not say: nobody's again
      kept_[{block.graph, /*no stream*/ this, block.bytes}].push_back(data);
    else
      pending_.push_back(pending_of(data, block));
    use_.cached += block.bytes;
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so. Nobody gets the block again.
  }
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

void DeviceAllocator::release_graph(const Graph* graph) noexcept {
  std::lock_guard lock(mutex_);
  graphs_.erase(graph);
  for (auto& [data, block] : live_)
    if (block.graph == graph) block.graph = nullptr, block.graph_gone = true;
  try {
    give_back_kept(graph);
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so.
  }
}

void DeviceAllocator::end_recording(const Graph* graph) noexcept {
  std::lock_guard lock(mutex_);
  std::erase_if(live_, [&](const auto& entry) {
    if (entry.second.freed_in != graph) return false;
    retire(entry.first, entry.second);
    return true;
  });
}

void DeviceAllocator::forget(Stream stream) {
  std::lock_guard lock(mutex_);
  const Stream instead{device_};
  for (auto& [data, block] : live_) {
    std::erase(block.other_streams, stream);
    if (block.stream == stream) block.stream = instead;
  }
  for (Pending& p : pending_)
    if (p.stream == stream) p.stream = instead;
  std::map<Key, std::vector<void*>> moved;
  std::erase_if(kept_, [&](auto& entry) {
    const auto& [graph, handle, bytes] = entry.first;
    if (graph || handle != stream.handle) return false;
    moved[{nullptr, instead.handle, bytes}] = std::move(entry.second);
    return true;
  });
  for (auto& [key, blocks] : moved)
    kept_[key].insert(kept_[key].end(), blocks.begin(), blocks.end());
}

GraphMemory DeviceAllocator::memory_of(const Graph* graph) const {
  std::lock_guard lock(mutex_);
  GraphMemory memory;
  const auto at = graphs_.find(graph);
  if (at == graphs_.end()) return memory;
  memory.asked = at->second.asked;
  for (const auto& [kind, count] : at->second.blocks) {
    memory.held += kind.first * count;
    memory.blocks.push_back({kind.second.empty() ? kNoName : kind.second, kind.first, count});
  }
  std::reverse(memory.blocks.begin(), memory.blocks.end());
  return memory;
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
    by_label[block.label.empty() ? kNoName : block.label] += block.bytes;
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
  static std::mutex mutex;
  // Never destroyed: memory in static objects may outlive it otherwise.
  static auto* all = new std::map<std::pair<Device::Kind, int>, std::unique_ptr<DeviceAllocator>>;
  std::lock_guard lock(mutex);
  const auto at = all->find({device.kind, device.index});
  if (at != all->end()) return *at->second;  // as at every allocation: nobody asks the driver
  require_device(device);
  auto made = std::make_unique<DeviceAllocator>(device);
  return *all->emplace(std::pair(device.kind, device.index), std::move(made)).first->second;
}

}  // namespace apprentice
