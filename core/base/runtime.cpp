#include <apprentice/base/runtime.h>

#include <array>
#include <mutex>

#include <apprentice/base/error.h>

namespace apprentice {
namespace {

struct Runtimes {
  std::mutex mutex;
  std::array<std::unique_ptr<Runtime>, kDeviceKinds> of_kind;
};

/// Never destroyed: memory in static objects may outlive it otherwise.
Runtimes& runtimes() {
  static Runtimes* all = new Runtimes;
  return *all;
}

Runtime* find(Device::Kind kind) {
  Runtimes& all = runtimes();
  std::lock_guard lock(all.mutex);
  return all.of_kind[size_t(kind)].get();
}

}  // namespace

void set_runtime(Device::Kind kind, std::unique_ptr<Runtime> runtime) {
  check(kind != Device::Kind::cpu, "set_runtime: the CPU has none");
  Runtimes& all = runtimes();
  std::lock_guard lock(all.mutex);
  all.of_kind[size_t(kind)] = std::move(runtime);
}

Runtime& runtime_of(Device::Kind kind) {
  Runtime* runtime = find(kind);
  check<DeviceError>(runtime != nullptr, "device {}: {}", name_of(kind), device_status(kind));
  return *runtime;
}

std::string device_status(Device::Kind kind) {
  Runtime* runtime = find(kind);
  return runtime ? runtime->status() : fmt::format("this build has no {} backend", name_of(kind));
}

int device_count(Device::Kind kind) {
  if (kind == Device::Kind::cpu) return 1;
  Runtime* runtime = find(kind);
  return runtime ? runtime->device_count() : 0;
}

void require_device(Device device) {
  if (device.is_cpu()) return;
  Runtime& runtime = runtime_of(device.kind);
  const int count = runtime.device_count();
  check<DeviceError>(count > 0, "device {}: {}", device.str(), runtime.status());
  check<DeviceError>(device.index >= 0 && device.index<count, "device {}: this machine has {}:0{}",
                                                       device.str(), name_of(device.kind), count> 1
                         ? fmt::format(" to {}:{}", name_of(device.kind), count - 1)
                         : std::string(" only"));
  const std::string reason = runtime.refuse(device.index);
  check<DeviceError>(reason.empty(), "device {}: {}", device.str(), reason);
}

}  // namespace apprentice
