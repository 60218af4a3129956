#pragma once

#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>

/// Devices of host memory for tests: as much memory as the test says, and streams whose work runs
/// only when the test lets it (`run`) or somebody synchronizes, so what forgets to wait reads old
/// bytes.
class FakeRuntime final : public apprentice::Runtime {
 public:
  using Stream = apprentice::Stream;
  int devices = 1;
  int refused = -1;
  size_t capacity = size_t(1) << 20;
  size_t used = 0;
  int allocations = 0;
  int synchronizations = 0;
  int questions = 0;         ///< how often it was asked what devices there are
  int uses_of_the_gone = 0;  ///< of streams that have been destroyed
  bool lost = false;         ///< every call throws DeviceError

  ~FakeRuntime() override {
    for (const auto& [data, bytes] : sizes_) std::free(data);
    for (void* stream : streams_) delete static_cast<char*>(stream);
  }

  /// Runs the work of one stream until it is empty or waits for an event.
  void run(void* stream) {
    auto& queue = queues_[stream];
    while (!queue.empty() && queue.front()()) queue.pop_front();
  }
  size_t waiting(void* stream) { return queues_[stream].size(); }

  /// Work behind all that the stream has; while it returns false it is not done.
  void give(Stream stream, std::function<bool()> work) {
    call();
    if (stream.handle && !streams_.contains(stream.handle)) ++uses_of_the_gone;
    const bool records = recorded_stream_ && stream.handle == recorded_stream_;
    (records ? recorded_ : queues_[stream.handle]).push_back(std::move(work));
  }

  int device_count() override {
    call();
    ++questions;
    return devices;
  }
  std::string status() override { return devices ? "fake devices" : "no fake device: none made"; }
  std::string refuse(int device) override { return device == refused ? "too old" : ""; }
  Memory memory(int) override {
    call();
    return {capacity - used, capacity};
  }
  void* allocate(int, size_t bytes) override {
    call();
    ++allocations;
    if (used + bytes > capacity) return nullptr;
    used += bytes;
    void* data = std::malloc(bytes);
    sizes_[data] = bytes;
    return data;
  }
  void free(int, void* data) override {
    call();
    run_all();
    used -= sizes_.at(data);
    sizes_.erase(data);
    std::free(data);
  }
  void* allocate_pinned(int, size_t bytes) override {
    call();
    return std::malloc(bytes);
  }

  void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, stream);
  }
  void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, stream);
  }
  void copy_on_device(void* to, const void* from, size_t bytes, Stream stream) override {
    copy(to, from, bytes, stream);
  }
  void fill(void* to, unsigned char value, size_t bytes, Stream stream) override {
    give(stream, [=] { return std::memset(to, value, bytes) != nullptr; });
  }

  void* create_stream(int) override {
    call();
    return *streams_.insert(new char).first;
  }
  void destroy_stream(Stream stream) override {
    call();
    streams_.erase(stream.handle);
    delete static_cast<char*>(stream.handle);
  }
  void synchronize(Stream stream) override {
    call();
    if (stream.handle && !streams_.contains(stream.handle)) ++uses_of_the_gone;
    ++synchronizations;
    // An awaited event is in another stream, which may wait in turn.
    for (size_t i = 0; i <= queues_.size() && !queues_[stream.handle].empty(); ++i)
      for (auto& [handle, queue] : queues_) run(handle);
  }

  void* create_event(int) override {
    call();
    auto event = std::make_unique<Event>(std::make_shared<bool>(true));
    void* handle = event.get();
    events().emplace(handle, std::move(event));
    return handle;
  }
  void destroy_event(int, void* event) override {
    call();
    events().erase(event);
  }
  void record(void* event, Stream stream) override {
    auto done = *static_cast<Event*>(event) = std::make_shared<bool>(false);
    give(stream, [=] { return *done = true; });
  }
  void wait(Stream stream, void* event) override {
    give(stream, [done = *static_cast<Event*>(event)] { return *done; });
  }
  bool is_done(void* event) override {
    call();
    return **static_cast<Event*>(event);
  }
  double milliseconds(void*, void*) override { return 1; }

  void begin_recording(Stream stream) override {
    call();
    recorded_stream_ = stream.handle;
  }
  void* end_recording(Stream) override {
    call();
    recorded_stream_ = nullptr;
    auto work = std::make_unique<Work>(std::exchange(recorded_, {}));
    void* handle = work.get();
    works_.emplace(handle, std::move(work));
    return handle;
  }
  void abandon_recording(Stream) noexcept override {
    recorded_stream_ = nullptr;
    recorded_ = {};
  }
  void launch_recorded(void* recorded, Stream stream) override {
    for (const auto& work : *static_cast<Work*>(recorded)) give(stream, work);
  }
  void destroy_recorded(int, void* recorded) override {
    call();
    works_.erase(recorded);
  }

 private:
  using Work = std::deque<std::function<bool()>>;
  /// Whether its latest record is past: who waits for one is not held up by a later one.
  using Event = std::shared_ptr<bool>;

  void call() const { apprentice::check<apprentice::DeviceError>(!lost, "fake: lost"); }
  /// What can run; what waits for an event that is never recorded cannot.
  void run_all() {
    for (size_t i = 0; i <= queues_.size(); ++i)
      for (auto& [handle, queue] : queues_) run(handle);
  }

  static std::map<void*, std::unique_ptr<Event>>& events() {
    static auto* all = new std::map<void*, std::unique_ptr<Event>>;
    return *all;
  }
  void copy(void* to, const void* from, size_t bytes, Stream stream) {
    give(stream, [=] { return std::memcpy(to, from, bytes) != nullptr; });
  }

  std::map<void*, Work> queues_;
  // What a lost device could not take back ends with the runtime, but for events, which pinned
  // memory keeps for longer.
  std::map<void*, std::unique_ptr<Work>> works_;
  std::set<void*> streams_;
  Work recorded_;
  void* recorded_stream_ = nullptr;
  std::map<void*, size_t> sizes_;
};

/// A fake runtime for devices of the kind `emulated`, while it is alive.
class FakeDevices {
 public:
  FakeDevices() {
    auto owned = std::make_unique<FakeRuntime>();
    runtime = owned.get();
    apprentice::set_runtime(apprentice::Device::Kind::emulated, std::move(owned));
  }
  ~FakeDevices() {
    runtime->devices = 1;
    runtime->lost = false;
    apprentice::device_allocator(device).release_cached();
    apprentice::set_runtime(apprentice::Device::Kind::emulated, nullptr);
  }
  FakeRuntime* runtime;
  apprentice::Device device{apprentice::Device::Kind::emulated, 0};
};
