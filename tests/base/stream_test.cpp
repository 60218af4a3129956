#include <apprentice/base/stream.h>

#include <catch2/catch.hpp>

#include <vector>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/pinned.h>
#include <support/fake_runtime.h>

using namespace apprentice;

TEST_CASE("the current device and stream are those of the innermost guard") {
  FakeDevices fake;
  CHECK(current_device() == Device{});
  {
    DeviceGuard guard(fake.device);
    CHECK(current_device() == fake.device);
    OwnedStream stream(fake.device);
    {
      StreamGuard inner(stream.get());
      CHECK(current_stream(fake.device) == stream.get());
    }
    CHECK(current_stream(fake.device).handle == nullptr);
  }
  CHECK(current_device() == Device{});
}

TEST_CASE("a device that is not there is refused, and those that are, named") {
  CHECK_THROWS_WITH(require_device({Device::Kind::emulated, 0}),
                    "device emulated: this build has no emulated backend");
  FakeDevices fake;
  fake.runtime->devices = 2;
  CHECK_NOTHROW(require_device({Device::Kind::emulated, 1}));
  CHECK_THROWS_WITH(DeviceGuard({Device::Kind::emulated, 2}),
                    "device emulated:2: this machine has emulated:0 to emulated:1");
  CHECK(current_device() == Device{});
  fake.runtime->refused = 1;
  CHECK_THROWS_WITH(require_device({Device::Kind::emulated, 1}), "device emulated:1: too old");
  CHECK_NOTHROW(require_device(fake.device));
  fake.runtime->devices = 0;
  CHECK_THROWS_WITH(require_device(fake.device), "device emulated:0: no fake device: none made");
}

TEST_CASE("a copy to a device does not wait, and its source is free at once") {
  FakeDevices fake;
  const Stream stream = current_stream(fake.device);
  Buffer buffer(4, fake.device);
  int value = 7, back = 0;
  copy_bytes(buffer.data(), fake.device, &value, {}, 4, stream);
  CHECK(fake.runtime->waiting(nullptr) > 0);
  value = 8;
  copy_bytes(&back, {}, buffer.data(), fake.device, 4, stream);
  CHECK(back == 7);
}

TEST_CASE("staging memory is not handed out again before its copy ran") {
  FakeDevices fake;
  const Stream stream = current_stream(fake.device);
  Buffer first(4, fake.device), second(4, fake.device);
  int a = 1, b = 2, got = 0;
  copy_bytes(first.data(), fake.device, &a, {}, 4, stream);
  copy_bytes(second.data(), fake.device, &b, {}, 4, stream);
  copy_bytes(&got, {}, first.data(), fake.device, 4, stream);
  CHECK(got == 1);
}

TEST_CASE("an event orders two streams") {
  FakeDevices fake;
  OwnedStream producer(fake.device), consumer(fake.device);
  std::vector<char> made(1), seen(1);
  StreamEvent begin(fake.device), ready(fake.device);
  begin.record(producer.get());
  fake.runtime->fill(made.data(), 5, 1, producer.get());
  ready.record(producer.get());
  ready.wait(consumer.get());
  fake.runtime->copy_on_device(seen.data(), made.data(), 1, consumer.get());
  fake.runtime->run(consumer.get().handle);
  CHECK(seen[0] == 0);
  CHECK_FALSE(ready.is_done());
  synchronize(consumer.get());
  CHECK(seen[0] == 5);
  CHECK(ready.is_done());
  CHECK(ready.milliseconds_since(begin) == fake.runtime->milliseconds(nullptr, nullptr));
}

TEST_CASE("copies between devices that differ are refused") {
  FakeDevices fake;
  fake.runtime->devices = 2;
  const Device other{Device::Kind::emulated, 1};
  int a = 0, b = 0;
  CHECK_THROWS_WITH(copy_bytes(&a, other, &b, fake.device, 4, current_stream(other)),
                    "copy from emulated:0 to emulated:1: copy through the CPU");
}

TEST_CASE("the status of a kind of device says what there is, or why there is nothing") {
  CHECK(device_status(Device::Kind::emulated) == "this build has no emulated backend");
  FakeDevices fake;
  CHECK(device_status(Device::Kind::emulated) == "fake devices");
  fake.runtime->devices = 0;
  CHECK(device_status(Device::Kind::emulated) == "no fake device: none made");
}

TEST_CASE("a side starts after the current stream's work, which goes on after the side's") {
  FakeDevices fake;
  const Stream stream = current_stream(fake.device);
  SideStream side(fake.device);
  char made = 0, seen = 0, back = 0;
  fake.runtime->fill(&made, 5, 1, stream);
  side.fork();
  fake.runtime->copy_on_device(&seen, &made, 1, side.get());
  side.join();
  fake.runtime->copy_on_device(&back, &seen, 1, stream);
  fake.runtime->run(side.get().handle);
  CHECK(fake.runtime->waiting(side.get().handle) > 0);
  fake.runtime->run(stream.handle);
  CHECK(fake.runtime->waiting(stream.handle) > 0);
  fake.runtime->run(side.get().handle);
  fake.runtime->run(stream.handle);
  CHECK(seen == 5);
  CHECK(back == 5);
}

TEST_CASE("a block of pinned memory is of one stream") {
  FakeDevices fake;
  const OwnedStream other(fake.device);
  PinnedBuffer staging(4, fake.device);
  staging.used_in(current_stream(fake.device));
  staging.used_in(current_stream(fake.device));
  CHECK_THROWS_WITH(staging.used_in(other.get()),
                    "pinned memory for emulated:0 used in two streams");
}
