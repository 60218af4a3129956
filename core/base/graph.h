#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include <apprentice/base/stream.h>

namespace apprentice {

struct GraphMemory;

/// Work for a device, recorded once to be given again as a whole: on CUDA a CUDA graph, whose
/// launch costs the host one call however many kernels it holds.
///
/// What is recorded is which kernels read and write which memory, and the values that they were
/// given by the host. So whatever shall change from launch to launch (inputs, learning rate,
/// counters) lies in memory of the device that is written before the launch. Memory that the work
/// takes, and also what it frees, stays the graph's for as long as the graph lives: tensors that
/// the work leaves behind hold the results of the latest launch. Memory from before the recording
/// that the work uses must outlive the graph.
class Graph {
 public:
  /// Calls `work` once, in a current stream of its own: what it gives to that stream, and to
  /// streams that wait for events of it and that it waits for in the end, is recorded and not run.
  /// DeviceError if the device is the CPU, inside another recording, or where `work` would have to
  /// wait for the device or copy from memory of the host. What `work` throws goes on to the caller.
  Graph(Device device, const std::function<void()>& work);
  /// Waits for its launches.
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Gives the recorded work to `stream`; does not wait. From one thread at a time.
  void launch(Stream stream) const;

  Device device() const { return stream_.get().device; }
  /// Memory that it has taken and holds (base/device_allocator.h).
  GraphMemory memory() const;
  /// The graph that this thread records, or null.
  static const Graph* recording();

 private:
  void record(const std::function<void()>& work);
  void wait() const;

  OwnedStream stream_;
  void* recorded_ = nullptr;
  /// The end of the latest launch in each stream.
  mutable std::vector<std::pair<Stream, std::unique_ptr<StreamEvent>>> launches_;
};

/// DeviceError naming `what` while this thread records a graph: for what cannot be recorded.
void refuse_in_recording(const char* what);

}  // namespace apprentice
