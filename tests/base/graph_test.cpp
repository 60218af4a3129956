#include <apprentice/base/graph.h>

#include <catch2/catch.hpp>

#include <array>
#include <optional>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <support/fake_runtime.h>

using namespace apprentice;
using Catch::Matchers::Contains;

namespace {

using Bytes = std::array<char, 4>;

void copy_on(Device device, void* to, const void* from) {
  copy_bytes(to, device, from, device, sizeof(Bytes), current_stream(device));
}

}  // namespace

TEST_CASE("recorded work runs at every launch and not before, on what its memory holds then") {
  FakeDevices fake;
  Bytes from{1, 2, 3, 4}, to{};
  const Graph graph(fake.device, [&] { copy_on(fake.device, to.data(), from.data()); });
  const Stream stream = current_stream(fake.device);
  synchronize(stream);
  CHECK(to == Bytes{});
  graph.launch(stream);
  CHECK(to == Bytes{});
  synchronize(stream);
  CHECK(to == from);
  from = {5, 6, 7, 8};
  graph.launch(stream);
  synchronize(stream);
  CHECK(to == Bytes{5, 6, 7, 8});
}

TEST_CASE("memory of a graph is used again within it, and by nobody else while it lives") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  void *first = nullptr, *second = nullptr;
  {
    const Graph graph(fake.device, [&] {
      const Stream stream = current_stream(fake.device);
      first = allocator.allocate(1000, stream);
      allocator.free(first);
      second = allocator.allocate(1000, stream);
      allocator.free(second);
    });
    CHECK(first == second);
    const OwnedStream other(fake.device);
    for (const Stream stream : {current_stream(fake.device), other.get()}) {
      void* data = allocator.allocate(1000, stream);
      CHECK(data != first);
      allocator.free(data);
    }
    allocator.release_cached();
    CHECK(fake.runtime->used == DeviceAllocator::class_of(1000));
    CHECK(graph.memory().held == DeviceAllocator::class_of(1000));
  }
  CHECK(fake.runtime->used == 0);
}

TEST_CASE("a graph tells what its work asked for and the blocks that it holds, by their labels") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const Graph graph(fake.device, [&] {
    const Stream stream = current_stream(fake.device);
    {
      const MemoryLabel label("activations");
      void* first = allocator.allocate(4096, stream);
      void* second = allocator.allocate(4096, stream);
      allocator.free(first);
      allocator.free(second);
    }
    const MemoryLabel label("gradients");
    void* again = allocator.allocate(4096, stream);
    void* other = allocator.allocate(8192, stream);
    allocator.free(again);
    allocator.free(other);
  });
  const GraphMemory memory = graph.memory();
  CHECK(memory.asked == 3 * 4096 + 8192);
  CHECK(memory.held == 2 * 4096 + 8192);
  REQUIRE(memory.blocks.size() == 2);
  CHECK(memory.blocks[0].label == "gradients");
  CHECK(memory.blocks[0].bytes == 8192);
  CHECK(memory.blocks[1].label == "activations");
  CHECK(memory.blocks[1].count == 2);
}

TEST_CASE("a block that two streams of a recording use is handed to neither again") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const OwnedStream other(fake.device);
  const Graph graph(fake.device, [&] {
    const Stream stream = current_stream(fake.device);
    void* data = allocator.allocate(1000, stream);
    allocator.used_in(data, other.get());
    allocator.free(data);
    void* next = allocator.allocate(1000, stream);
    CHECK(next != data);
    allocator.free(next);
  });
}

TEST_CASE("what the work leaves behind outlives the graph") {
  FakeDevices fake;
  std::optional<Buffer> left;
  {
    const Graph graph(fake.device, [&] { left.emplace(1000, fake.device); });
  }
  CHECK(fake.runtime->used == DeviceAllocator::class_of(1000));
  left.reset();
  CHECK(fake.runtime->used == 0);
}

TEST_CASE("what would wait for the host or be lost in a recording is refused") {
  FakeDevices fake;
  const Stream stream = current_stream(fake.device);
  Bytes host{}, data{};
  const auto record = [&](const std::function<void()>& work) { Graph(fake.device, work); };
  CHECK_THROWS_WITH(
      record([&] { copy_bytes(data.data(), fake.device, host.data(), {}, 4, stream); }),
      Contains("graph: a copy from the host cannot be recorded"));
  CHECK_THROWS_WITH(
      record([&] { copy_bytes(host.data(), {}, data.data(), fake.device, 4, stream); }),
      Contains("graph: a copy to the host cannot be recorded"));
  CHECK_THROWS_WITH(record([&] { synchronize(stream); }), Contains("waiting for the device"));
  CHECK_THROWS_WITH(record([&] { record([] {}); }), Contains("another recording"));
  CHECK_THROWS_WITH(Graph({}, [] {}), Contains("graph: the CPU has none"));
  CHECK(Graph::recording() == nullptr);
}

TEST_CASE("a recording that fails leaves no memory and no work behind") {
  FakeDevices fake;
  Bytes from{1, 2, 3, 4}, to{};
  CHECK_THROWS_WITH(Graph(fake.device,
                          [&] {
                            const Buffer scratch(1000, fake.device);
                            copy_on(fake.device, to.data(), from.data());
                            throw Error("no such step");
                          }),
                    Contains("no such step"));
  CHECK(fake.runtime->used == 0);
  const Graph graph(fake.device, [] {});
  graph.launch(current_stream(fake.device));
  synchronize(current_stream(fake.device));
  CHECK(to == Bytes{});
}

TEST_CASE("out of memory in a recording is an error, not a wait for the device") {
  FakeDevices fake;
  fake.runtime->capacity = 65536;
  DeviceAllocator& allocator = device_allocator(fake.device);
  allocator.free(allocator.allocate(65536, current_stream(fake.device)));
  CHECK_THROWS_WITH(Graph(fake.device, [&] { const Buffer more(65536, fake.device); }),
                    Contains("out of memory: asked for 65536 bytes"));
}

TEST_CASE("a graph outlives its launches, in whatever streams they are, and waits for no other") {
  FakeDevices fake;
  Bytes from{1, 2, 3, 4}, to{}, beside{};
  const OwnedStream first(fake.device), second(fake.device);
  {
    const Graph graph(fake.device, [&] { copy_on(fake.device, to.data(), from.data()); });
    graph.launch(first.get());
    graph.launch(second.get());
    fake.runtime->run(second.get().handle);
    to = {};
    fake.runtime->copy_on_device(beside.data(), from.data(), 4, second.get());
    fake.runtime->synchronizations = 0;
  }
  CHECK(to == from);
  CHECK(fake.runtime->synchronizations == 2);  // the first stream, and the recorded one, which goes
}

TEST_CASE("a graph that a lost device cannot destroy leaves its memory to no other graph") {
  FakeDevices fake;
  std::optional<Graph> graph(std::in_place, fake.device,
                             [&] { const Buffer scratch(1000, fake.device); });
  const Graph* const address = &*graph;
  CHECK(graph->memory().held > 0);
  fake.runtime->lost = true;
  graph.reset();
  fake.runtime->lost = false;
  CHECK(device_allocator(fake.device).memory_of(address).held == 0);
}

TEST_CASE(
    "a block of before that a recording frees is kept until the recorded streams are past it") {
  FakeDevices fake;
  DeviceAllocator& allocator = device_allocator(fake.device);
  const Stream own = current_stream(fake.device);
  void* data = allocator.allocate(1000, own);
  void* recorded = nullptr;
  const Graph graph(fake.device, [&] {
    recorded = current_stream(fake.device).handle;
    allocator.used_in(data, current_stream(fake.device));
    allocator.free(data);
  });
  void* meanwhile = allocator.allocate(1000, own);
  CHECK(meanwhile != data);
  fake.runtime->run(recorded);  // the graph is not launched: the mark is none of its work
  CHECK(allocator.allocate(1000, own) == data);
  allocator.free(data);
  allocator.free(meanwhile);
}
