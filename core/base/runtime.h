#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include <apprentice/base/device.h>

namespace apprentice {

/// What devices of one kind other than the CPU do for memory and for queues of work. kernels brings
/// the one of CUDA where that is built; tests bring their own. Calls throw DeviceError naming the
/// call and the device's own message; none of them waits for the device unless its comment says so.
/// A stream handle of null is the device's default queue.
class Runtime {
 public:
  virtual ~Runtime() = default;

  /// How many such devices there are, and in words what they are or why there are none.
  virtual int device_count() = 0;
  virtual std::string status() = 0;
  /// Why this build cannot use the device, one that is there, or "".
  virtual std::string refuse(int device) = 0;

  /// Memory of the device, in bytes.
  struct Memory {
    size_t free, total;
  };
  virtual Memory memory(int device) = 0;
  /// Null if the device has no more. `free` waits for work that may use the memory.
  virtual void* allocate(int device, size_t bytes) = 0;
  virtual void free(int device, void* data) = 0;
  /// Host memory that the device copies from and to without waiting, for as long as the process
  /// runs. Null if there is no more.
  virtual void* allocate_pinned(int device, size_t bytes) = 0;

  virtual void copy_to_device(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void copy_to_host(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void copy_on_device(void* to, const void* from, size_t bytes, Stream stream) = 0;
  virtual void fill(void* to, unsigned char value, size_t bytes, Stream stream) = 0;

  virtual void* create_stream(int device) = 0;
  virtual void destroy_stream(Stream stream) = 0;
  /// Waits until all work in the queue is done.
  virtual void synchronize(Stream stream) = 0;

  virtual void* create_event(int device) = 0;
  virtual void destroy_event(int device, void* event) = 0;
  virtual void record(void* event, Stream stream) = 0;
  /// Later work in `stream` starts after the event.
  virtual void wait(Stream stream, void* event) = 0;
  virtual bool is_done(void* event) = 0;
  /// Between two events that are done.
  virtual double milliseconds(void* begin, void* end) = 0;

  /// From now on work given to `stream`, not the default one, is kept, not run (base/graph.h).
  virtual void begin_recording(Stream stream) = 0;
  /// The work kept since then, ready to be launched.
  virtual void* end_recording(Stream stream) = 0;
  virtual void abandon_recording(Stream stream) noexcept = 0;
  virtual void launch_recorded(void* recorded, Stream stream) = 0;
  /// Its launches are done.
  virtual void destroy_recorded(int device, void* recorded) = 0;
};

/// From now on devices of this kind are run by `runtime`; memory of an earlier one must be gone.
void set_runtime(Device::Kind kind, std::unique_ptr<Runtime> runtime);
/// DeviceError saying why, if nothing runs such devices here.
Runtime& runtime_of(Device::Kind kind);
/// 1 for the CPU, 0 if nothing runs such devices here.
int device_count(Device::Kind kind);
/// The devices of a kind other than the CPU in words, or why there are none.
std::string device_status(Device::Kind kind);
/// DeviceError unless the device is there: it names those that are, or why there are none.
void require_device(Device device);

}  // namespace apprentice
