#include <apprentice/base/stream.h>

#include <cstring>
#include <map>
#include <utility>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/pinned.h>
#include <apprentice/base/runtime.h>

namespace apprentice {
namespace {

using Key = std::pair<Device::Kind, int>;
Key key_of(Device device) { return {device.kind, device.index}; }

thread_local Device this_device;
thread_local std::map<Key, void*> this_streams;

void set_stream(Stream stream) { this_streams[key_of(stream.device)] = stream.handle; }

}  // namespace

Device current_device() { return this_device; }

Stream current_stream(Device device) {
  if (device.is_cpu()) return {};
  const auto at = this_streams.find(key_of(device));
  return {device, at == this_streams.end() ? nullptr : at->second};
}

DeviceGuard::DeviceGuard(Device device) : before_(this_device) {
  require_device(device);
  this_device = device;
}
DeviceGuard::~DeviceGuard() { this_device = before_; }

StreamGuard::StreamGuard(Stream stream) : before_(current_stream(stream.device)) {
  set_stream(stream);
}
StreamGuard::~StreamGuard() { set_stream(before_); }

OwnedStream::OwnedStream(Device device) {
  require_device(device);
  stream_.device = device;
  if (!device.is_cpu()) stream_.handle = runtime_of(device.kind).create_stream(device.index);
}

OwnedStream::~OwnedStream() {
  if (stream_.device.is_cpu()) return;
  try {
    Runtime& runtime = runtime_of(stream_.device.kind);
    runtime.synchronize(stream_);
    device_allocator(stream_.device).forget(stream_);
    runtime.destroy_stream(stream_);
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so.
  }
}

StreamEvent::StreamEvent(Device device) : device_(device) {
  require_device(device);
  if (!device.is_cpu()) handle_ = runtime_of(device.kind).create_event(device.index);
}

StreamEvent::~StreamEvent() {
  if (!handle_) return;
  try {
    runtime_of(device_.kind).destroy_event(device_.index, handle_);
  } catch (const DeviceError&) {
    // The device is lost, and the next call on it says so.
  }
}

void StreamEvent::record(Stream stream) {
  check<DeviceError>(stream.device == device_, "event of {} recorded in a stream of {}",
                     device_.str(), stream.device.str());
  if (handle_) runtime_of(device_.kind).record(handle_, stream);
}

void StreamEvent::wait(Stream stream) const {
  check<DeviceError>(stream.device.kind == device_.kind, "event of {} awaited in a stream of {}",
                     device_.str(), stream.device.str());
  if (handle_) runtime_of(device_.kind).wait(stream, handle_);
}

bool StreamEvent::is_done() const { return !handle_ || runtime_of(device_.kind).is_done(handle_); }

double StreamEvent::milliseconds_since(const StreamEvent& begin) const {
  check<DeviceError>(handle_ && begin.handle_, "events of the CPU hold no time");
  return runtime_of(device_.kind).milliseconds(begin.handle_, handle_);
}

SideStream::SideStream(Device device) : stream_(device), begin_(device), end_(device) {}

void SideStream::fork() {
  begin_.record(current_stream(get().device));
  begin_.wait(get());
}

void SideStream::join() {
  end_.record(get());
  end_.wait(current_stream(get().device));
}

void synchronize(Stream stream) {
  if (stream.device.is_cpu()) return;
  refuse_in_recording("waiting for the device");
  runtime_of(stream.device.kind).synchronize(stream);
}

void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
                Stream stream) {
  if (bytes == 0) return;
  if (to_device.is_cpu() && from_device.is_cpu()) {
    std::memmove(to, from, bytes);
    return;
  }
  const Device device = to_device.is_cpu() ? from_device : to_device;
  check<DeviceError>(to_device.is_cpu() || from_device.is_cpu() || to_device == from_device,
                     "copy from {} to {}: copy through the CPU", from_device.str(),
                     to_device.str());
  check<DeviceError>(stream.device == device, "copy for {} in a stream of {}", device.str(),
                     stream.device.str());
  Runtime& runtime = runtime_of(device.kind);
  if (from_device.is_cpu()) {
    refuse_in_recording("a copy from the host");
    PinnedBuffer staging(bytes, device);
    std::memcpy(staging.data(), from, bytes);
    runtime.copy_to_device(to, staging.data(), bytes, stream);
    staging.used_in(stream);
  } else if (to_device.is_cpu()) {
    refuse_in_recording("a copy to the host");
    runtime.copy_to_host(to, from, bytes, stream);
    runtime.synchronize(stream);
  } else {
    runtime.copy_on_device(to, from, bytes, stream);
  }
}

void fill_bytes(void* to, unsigned char value, size_t bytes, Stream stream) {
  if (bytes == 0) return;
  if (stream.device.is_cpu())
    std::memset(to, value, bytes);
  else
    runtime_of(stream.device.kind).fill(to, value, bytes, stream);
}

}  // namespace apprentice
