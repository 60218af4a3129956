#include <apprentice/base/runtime.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/simt/emulator.h>
#include <apprentice/kernels/simt/simt.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "emulated_graph.h"
#include "test_device.h"

namespace apprentice {
namespace {

std::atomic<int64_t> waits{0};
GraphOrder order = GraphOrder::given;

/// The host as a device: memory with guards, and queues whose work is done when it is given.
class EmulatedRuntime final : public Runtime {
 public:
  int device_count() override { return 1; }
  std::string status() override { return "the SIMT emulator"; }
  std::string refuse(int) override { return ""; }
  Memory memory(int) override { return {kBytes, kBytes}; }
  void* allocate(int, size_t bytes) override { return simt::device_alloc(bytes); }
  void free(int, void* data) override { simt::device_free(data); }
  void* allocate_pinned(int, size_t bytes) override { return ::operator new(bytes); }

  void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) override {
    give(stream, [=] { std::memcpy(to, from, bytes); });
  }
  void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) override {
    ++waits;
    give(stream, [=] { std::memcpy(to, from, bytes); });
  }
  void copy_on_device(void* to, const void* from, size_t bytes, Stream stream) override {
    give(stream, [=] { std::memmove(to, from, bytes); });
  }
  void fill(void* to, unsigned char value, size_t bytes, Stream stream) override {
    give(stream, [=] { std::memset(to, value, bytes); });
  }

  void* create_stream(int) override { return new char; }
  void destroy_stream(Stream stream) override { delete static_cast<char*>(stream.handle); }
  void synchronize(Stream) override { ++waits; }
  // A stream that waits for an event of a recorded one is recorded, too, as CUDA does.
  void* create_event(int) override { return new Event; }
  void destroy_event(int, void* event) override { delete static_cast<Event*>(event); }
  void record(void* event, Stream stream) override {
    *static_cast<Event*>(event) = {stream.handle, simt::emu::recorded_works()};
  }
  void wait(Stream stream, void* event) override {
    const Event& mark = *static_cast<Event*>(event);
    if (!simt::emu::is_recorded(mark.stream)) return;
    simt::emu::begin_recording(stream.handle);
    waits_.push_back({stream.handle, simt::emu::recorded_works(), mark.stream, mark.at});
  }
  bool is_done(void*) override { return true; }
  double milliseconds(void*, void*) override { return 0; }

  void begin_recording(Stream stream) override { simt::emu::begin_recording(stream.handle); }
  void* end_recording(Stream) override {
    return new EmulatedGraph(simt::emu::end_recording(), std::exchange(waits_, {}));
  }
  void abandon_recording(Stream) noexcept override {
    simt::emu::end_recording();
    waits_.clear();
  }
  void launch_recorded(void* recorded, Stream stream) override {
    static_cast<EmulatedGraph*>(recorded)->run(
        order, [&](const std::function<void()>& work) { give(stream, work); });
  }
  void destroy_recorded(int, void* recorded) override {
    delete static_cast<EmulatedGraph*>(recorded);
  }

 private:
  /// Where in which stream it was recorded.
  struct Event {
    void* stream = nullptr;
    size_t at = 0;
  };
  static void give(Stream stream, std::function<void()> work) {
    simt::emu::give(stream.handle, std::move(work));
  }
  static constexpr size_t kBytes = size_t(1) << 30;
  std::vector<EmulatedGraph::Wait> waits_;  ///< of the recording
};

}  // namespace

int64_t emulated_waits() { return waits; }
void set_emulated_order(GraphOrder wanted) { order = wanted; }

}  // namespace apprentice

APPRENTICE_UNIT(runtime_emulated) {
  apprentice::set_runtime(apprentice::Device::Kind::emulated,
                          std::make_unique<apprentice::EmulatedRuntime>());
}
