#include <apprentice/base/graph.h>

#include <algorithm>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>

namespace apprentice {
namespace {

thread_local const Graph* this_recording = nullptr;

/// The device that a graph can be of.
Device checked(Device device) {
  check<DeviceError>(!device.is_cpu(), "graph: the CPU has none");
  refuse_in_recording("another recording");
  return device;
}

class RecordingGuard {
 public:
  explicit RecordingGuard(const Graph* graph) { this_recording = graph; }
  ~RecordingGuard() { this_recording = nullptr; }
  RecordingGuard(const RecordingGuard&) = delete;
  RecordingGuard& operator=(const RecordingGuard&) = delete;
};

}  // namespace

const Graph* Graph::recording() { return this_recording; }

void refuse_in_recording(const char* what) {
  check<DeviceError>(!this_recording, "graph: {} cannot be recorded", what);
}

Graph::Graph(Device device, const std::function<void()>& work) : stream_(checked(device)) {
  DeviceAllocator& allocator = device_allocator(device);
  try {
    record(work);
  } catch (...) {
    allocator.end_recording(this);
    allocator.release_graph(this);
    throw;
  }
  allocator.end_recording(this);
}

void Graph::record(const std::function<void()>& work) {
  Runtime& runtime = runtime_of(device().kind);
  runtime.begin_recording(stream_.get());
  try {
    const RecordingGuard recording(this);
    const StreamGuard guard(stream_.get());
    work();
  } catch (...) {
    runtime.abandon_recording(stream_.get());
    throw;
  }
  recorded_ = runtime.end_recording(stream_.get());
}

/// Only for streams that are not past their launch: others may be gone.
void Graph::wait() const {
  for (const auto& [stream, end] : launches_)
    if (!end->is_done()) runtime_of(stream.device.kind).synchronize(stream);
}

Graph::~Graph() {
  try {
    wait();
    runtime_of(device().kind).destroy_recorded(device().index, recorded_);
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so.
  }
  device_allocator(device()).release_graph(this);
}

GraphMemory Graph::memory() const { return device_allocator(device()).memory_of(this); }

void Graph::launch(Stream stream) const {
  check<DeviceError>(stream.device == device(), "graph of {} launched in a stream of {}",
                     device().str(), stream.device.str());
  refuse_in_recording("the launch of a graph");
  auto at = std::find_if(launches_.begin(), launches_.end(),
                         [&](const auto& launch) { return launch.first == stream; });
  if (at == launches_.end())
    at = launches_.emplace(at, stream, std::make_unique<StreamEvent>(device()));
  runtime_of(device().kind).launch_recorded(recorded_, stream);
  at->second->record(stream);
}

}  // namespace apprentice
