#include <apprentice/base/device_allocator.h>

#include <catch2/catch.hpp>

#include <optional>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <support/fake_runtime.h>

using namespace apprentice;

TEST_CASE("a freed block goes back to its own stream at once, to no other, and asks no device") {
  FakeDevices fake;
  DeviceAllocator allocator(fake.device);
  OwnedStream other(fake.device);
  const Stream first = current_stream(fake.device);
  void* data = allocator.allocate(1000, first);
  allocator.free(data);
  void* elsewhere = allocator.allocate(1000, other.get());
  CHECK(elsewhere != data);
  CHECK(allocator.allocate(1000, first) == data);
  CHECK(allocator.device_calls() == 2);
  allocator.free(data);
  allocator.free(elsewhere);
  allocator.release_cached();
  CHECK(fake.runtime->used == 0);
}

TEST_CASE("a block that another stream uses is kept until that stream is past it") {
  FakeDevices fake;
  DeviceAllocator allocator(fake.device);
  OwnedStream other(fake.device);
  const Stream own = current_stream(fake.device);
  void* data = allocator.allocate(1000, own);
  fake.runtime->fill(data, 1, 1000, other.get());
  allocator.used_in(data, other.get());
  allocator.free(data);
  void* meanwhile = allocator.allocate(1000, own);
  CHECK(meanwhile != data);
  fake.runtime->run(other.get().handle);
  CHECK(allocator.allocate(1000, own) == data);
  allocator.free(data);
  allocator.free(meanwhile);
  allocator.release_cached();
  CHECK(fake.runtime->used == 0);
}

TEST_CASE("statistics say what is live, cached and was most") {
  FakeDevices fake;
  DeviceAllocator allocator(fake.device);
  const Stream own = current_stream(fake.device);
  void* a = allocator.allocate(4096, own);
  void* b = allocator.allocate(8192, own);
  CHECK(allocator.use().live == 12288);
  allocator.free(a);
  CHECK(allocator.use().live == 8192);
  CHECK(allocator.use().cached == 4096);
  CHECK(allocator.use().peak == 12288);
  allocator.free(b);
  allocator.release_cached();
  CHECK(allocator.use().cached == 0);
}

TEST_CASE("kept blocks are given back before a request fails") {
  FakeDevices fake;
  fake.runtime->capacity = 16384;
  DeviceAllocator allocator(fake.device);
  const Stream own = current_stream(fake.device);
  allocator.free(allocator.allocate(10000, own));
  void* data = allocator.allocate(16384, own);
  CHECK(data != nullptr);
  allocator.free(data);
  allocator.release_cached();
}

TEST_CASE("out of memory names the size, what is free and the largest users") {
  FakeDevices fake;
  fake.runtime->capacity = 65536;
  DeviceAllocator allocator(fake.device);
  const Stream own = current_stream(fake.device);
  std::vector<void*> blocks;
  for (const auto& [label, bytes] :
       std::vector<std::pair<const char*, size_t>>{{"conv1", 8192}, {"bn1", 32768}}) {
    MemoryLabel name(label);
    blocks.push_back(allocator.allocate(bytes, own));
  }
  CHECK_THROWS_WITH(allocator.allocate(40000, own),
                    "emulated:0: out of memory: asked for 40000 bytes, 24576 of 65536 are free, "
                    "40960 in use here; largest users: bn1 32768, conv1 8192");
  for (void* block : blocks) allocator.free(block);
  allocator.release_cached();
}

TEST_CASE("size classes waste at most an eighth beyond 4 KiB") {
  for (size_t bytes = 4096; bytes < 100000; bytes += 37) {
    CAPTURE(bytes);
    CHECK(DeviceAllocator::class_of(bytes) >= bytes);
    CHECK(DeviceAllocator::class_of(bytes) <= bytes + bytes / 8);
  }
}

TEST_CASE("memory is taken and freed without asking what devices there are") {
  FakeDevices fake;
  device_allocator(fake.device);
  fake.runtime->questions = 0;
  { const Buffer buffer(1000, fake.device); }
  CHECK(fake.runtime->questions == 0);
}

TEST_CASE("what is freed when the device is lost throws nothing, and is handed out to nobody") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const Stream own = current_stream(fake.device);
  const size_t cached = allocator.use().cached;
  const OwnedStream other(fake.device);
  std::optional<Buffer> plain(std::in_place, 1000, fake.device);
  std::optional<Buffer> shared(std::in_place, 5000, fake.device);
  std::optional<StreamEvent> event(std::in_place, fake.device);
  void* data = shared->data();
  allocator.used_in(data, other.get());
  fake.runtime->lost = true;
  plain.reset();
  shared.reset();
  event.reset();
  fake.runtime->lost = false;
  CHECK(allocator.use().live == 0);
  CHECK(allocator.use().cached == cached + DeviceAllocator::class_of(1000));
  void* next = allocator.allocate(5000, own);
  CHECK(next != data);
  allocator.free(next);
}

TEST_CASE("a stream that is gone is neither waited for nor given anything") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const Stream own = current_stream(fake.device);
  void* freed_before = allocator.allocate(1000, own);
  void* freed_after = allocator.allocate(5000, own);
  {
    const OwnedStream other(fake.device);
    allocator.used_in(freed_before, other.get());
    allocator.used_in(freed_after, other.get());
    allocator.free(freed_before);
  }
  allocator.free(freed_after);
  CHECK(allocator.allocate(5000, own) == freed_after);  // at once
  allocator.free(freed_after);
  allocator.release_cached();
  CHECK(fake.runtime->uses_of_the_gone == 0);
  CHECK(fake.runtime->used == 0);
}

TEST_CASE("blocks of a stream that is gone are the default stream's") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const Stream own = current_stream(fake.device);
  std::optional<OwnedStream> other(std::in_place, fake.device);
  void* freed_before = allocator.allocate(1000, other->get());
  void* freed_after = allocator.allocate(5000, other->get());
  allocator.free(freed_before);
  other.reset();
  allocator.free(freed_after);
  for (const auto& [data, bytes] : {std::pair(freed_before, 1000), {freed_after, 5000}}) {
    CHECK(allocator.allocate(size_t(bytes), own) == data);
    allocator.free(data);
  }
}
