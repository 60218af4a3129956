#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device.h>

namespace apprentice {

class Graph;

/// What memory is taken for while one of these is alive in this thread: the name that an
/// out-of-memory error gives to it. `label` must outlive it.
class MemoryLabel {
 public:
  explicit MemoryLabel(std::string_view label);
  ~MemoryLabel();
  MemoryLabel(const MemoryLabel&) = delete;
  MemoryLabel& operator=(const MemoryLabel&) = delete;
  static std::string_view current();

 private:
  std::string_view before_;
};

/// Memory of a recorded graph.
struct GraphMemory {
  /// Blocks of one size. A block is named after what took it first.
  struct Blocks {
    std::string label;
    size_t bytes = 0, count = 0;  ///< of one; so many
  };
  size_t asked = 0;  ///< all that its work took, as if no block were used twice
  size_t held = 0;
  std::vector<Blocks> blocks{};  ///< largest first
};

/// Memory of one device in the order of streams: a block that is freed is handed out again to the
/// stream that it was taken for, without asking the device and without waiting, as later work of
/// that stream runs after what used it before. Other streams that used it must be told of by
/// `used_in`; then it is kept until they are past that use.
///
/// Blocks that a thread takes while it records a graph are that graph's: within it they are handed
/// out again in the order of its work, and to nobody else before `release_graph`.
///
/// Size classes: eight a power of two, at least 512 bytes. Thread-safe.
class DeviceAllocator {
 public:
  explicit DeviceAllocator(Device device);
  DeviceAllocator(const DeviceAllocator&) = delete;
  DeviceAllocator& operator=(const DeviceAllocator&) = delete;

  /// Bytes that a request takes.
  static size_t class_of(size_t bytes);
  /// A block for work of `stream`. When the device has no more, kept blocks are given back to it
  /// (which waits for the device) and it is asked again; then DeviceError with the size asked for,
  /// what is free, and the largest users by label.
  void* allocate(size_t bytes, Stream stream);
  void free(void* data) noexcept;
  /// The block is used by work given to `stream` so far.
  void used_in(void* data, Stream stream);
  /// The graph is gone: its blocks go back to the device, those still in use when they are freed.
  void release_graph(const Graph* graph) noexcept;
  /// The recording of the graph has ended: what it freed of blocks that are not its own is free.
  void end_recording(const Graph* graph) noexcept;
  /// The stream has done its work and is about to go: its blocks are the default one's from now on.
  void forget(Stream stream);
  GraphMemory memory_of(const Graph* graph) const;

  MemoryUse use() const;
  /// How often the device itself was asked for memory.
  size_t device_calls() const;
  /// Bytes in use by label, largest first.
  std::vector<std::pair<std::string, size_t>> users() const;
  /// Gives kept blocks back to the device; waits for it.
  void release_cached();

 private:
  struct Block {
    size_t bytes;
    Stream stream;
    std::string label;
    const Graph* graph;  ///< null: of none
    std::vector<Stream> other_streams{};
    bool graph_gone = false;
    const Graph* freed_in = nullptr;  ///< the recording that has freed it and goes on
  };
  /// A freed block, and where other streams are past their use of it.
  struct Pending {
    void* data;
    size_t bytes;
    Stream stream;
    std::vector<std::pair<Stream, void*>> events{};
  };

  /// What a graph has asked for, and how many blocks it holds of a size and label.
  struct GraphUse {
    size_t asked = 0;
    std::map<std::pair<size_t, std::string>, size_t> blocks{};
  };

  /// Whose kept blocks: of a graph, a stream handle and a class.
  using Key = std::tuple<const Graph*, void*, size_t>;

  const Graph* recording_here() const;
  void* take_new(size_t size, const Graph* graph);
  void* take_kept(const Key& key);
  Pending pending_of(void* data, const Block& block);
  void retire(void* data, const Block& block) noexcept;
  void collect_pending(bool wait);
  void give_back_kept(const Graph* graph);
  [[noreturn]] void out_of_memory(size_t bytes) const;
  std::vector<std::pair<std::string, size_t>> users_locked() const;

  Device device_;
  mutable std::mutex mutex_;
  std::map<void*, Block> live_;
  std::map<Key, std::vector<void*>> kept_;
  std::vector<Pending> pending_;
  std::map<const Graph*, GraphUse> graphs_;
  MemoryUse use_{};
  size_t device_calls_ = 0;
};

/// The allocator of a device that was there when it was first asked for; DeviceError if it was not.
DeviceAllocator& device_allocator(Device device);

}  // namespace apprentice
