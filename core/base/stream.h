#pragma once

#include <cstddef>

#include <apprentice/base/device.h>

namespace apprentice {

/// Where this thread makes tensors that name no device; the CPU at first.
Device current_device();
/// The queue that this thread gives work of `device` to; its default one at first.
Stream current_stream(Device device);

/// Another current device while it is alive. DeviceError if the device is not there.
class DeviceGuard {
 public:
  explicit DeviceGuard(Device device);
  ~DeviceGuard();
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  Device before_;
};

/// Another current stream of its device while it is alive.
class StreamGuard {
 public:
  explicit StreamGuard(Stream stream);
  ~StreamGuard();
  StreamGuard(const StreamGuard&) = delete;
  StreamGuard& operator=(const StreamGuard&) = delete;

 private:
  Stream before_;
};

/// A queue of its own, which runs beside the others of its device. On the CPU, the only one.
class OwnedStream {
 public:
  explicit OwnedStream(Device device);
  /// Waits for its work.
  ~OwnedStream();
  OwnedStream(const OwnedStream&) = delete;
  OwnedStream& operator=(const OwnedStream&) = delete;
  Stream get() const { return stream_; }

 private:
  Stream stream_;
};

/// A mark in a stream that others can wait for. On the CPU it is always past.
class StreamEvent {
 public:
  explicit StreamEvent(Device device);
  ~StreamEvent();
  StreamEvent(const StreamEvent&) = delete;
  StreamEvent& operator=(const StreamEvent&) = delete;

  void record(Stream stream);
  /// Later work in `stream`, of the same kind of device, starts after the mark.
  void wait(Stream stream) const;
  /// Is all work before the mark done?
  bool is_done() const;
  /// Time from `begin` to this mark, both done, in milliseconds.
  double milliseconds_since(const StreamEvent& begin) const;

 private:
  Device device_;
  void* handle_ = nullptr;
};

/// Work beside the current stream of a device, with a beginning and an end in it:
///   side.fork();  { const StreamGuard there(side.get());  ... }  ...;  side.join();
/// Between the two, memory of the current stream that the side reads must not be written, and what
/// the side writes must not be read. Blocks that one of them has taken and the other uses between
/// the two are freed after join(), not before; so the next fork() comes before whatever takes them
/// again. On the CPU all is one stream.
class SideStream {
 public:
  explicit SideStream(Device device);
  /// The side starts after what the current stream holds so far.
  void fork();
  /// Later work of the current stream starts after what the side holds so far.
  void join();
  Stream get() const { return stream_.get(); }

 private:
  OwnedStream stream_;
  StreamEvent begin_, end_;
};

/// Waits until the work given to the stream is done.
void synchronize(Stream stream);

/// Copies bytes within a device or between it and the CPU, in the order of `stream`, a stream of
/// the device that is not the CPU where there is one. From the host it goes through pinned staging
/// memory and returns at once, `from` being free again; to the host it waits until `to` is written.
/// DeviceError between two devices that are not the CPU and differ.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
                Stream stream);
/// Sets bytes of the memory of the stream's device.
void fill_bytes(void* to, unsigned char value, size_t bytes, Stream stream);

}  // namespace apprentice
