#include <algorithm>

#include <catch2/catch.hpp>

#include <apprentice/base/graph.h>
#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/kernels/ordered_pool.h>
#include <apprentice/kernels/pool.h>

#include "network_run.h"
#include "support/fake_runtime.h"
#include "support/throws.h"
#include "tiny_network.h"

// Packed networks on a device whose streams run only when the test lets them: what forgets to wait
// computes with old bytes. Its kernels are the references of the CPU.
namespace apprentice {
namespace {

using packed::PackedNetwork;
using test::throws;
using test::TinyNetwork;
using Kind = TinyNetwork::Kind;

constexpr Device kDevice{Device::Kind::emulated, 0};
constexpr int64_t kImage = 9 * 8 * 3;

FakeRuntime& fake() { return static_cast<FakeRuntime&>(runtime_of(kDevice.kind)); }

/// Weights that work not yet done may read.
std::vector<std::shared_ptr<const kernels::Prepacked>>& kept_weights() {
  static std::vector<std::shared_ptr<const kernels::Prepacked>> all;
  return all;
}

template <class Op>
void add() {
  kernels::Kernel<Op> kernel = kernels::kernel_table<Op>().kernels().back();
  kernel.name = fmt::format("{}_{}_fake", Op::name, Op::types);
  kernel.family = "fake";
  kernel.run = [run = kernel.run](const typename Op::Args& args, Stream stream) {
    fake().give(stream, [run, args] {
      run(args, {});
      return true;
    });
  };
  if (kernel.prepack) {
    kernel.prepack = [prepack = kernel.prepack](const typename Op::Args& args) {
      return kept_weights().emplace_back(prepack(args));
    };
  }
  kernel.where = kDevice.kind;
  kernels::kernel_table<Op>().add(kernel);
}

/// A fake device with kernels, while it is alive.
struct FakeDevice : FakeDevices {
  FakeDevice() {
    static const bool once = [] {
      add<kernels::OrderedConv2d>();
      add<kernels::TernaryConv2d>();
      add<kernels::Int4Conv2d>();
      add<kernels::MaxPool2d<uint8_t>>();
      add<kernels::OrderedPool<uint8_t>>();
      add<kernels::OrderedLinear>();
      return true;
    }();
    (void)once;
  }
};

PackedNetwork load(const TinyNetwork& net, int64_t arena_bytes = 1 << 20) {
  PackedNetwork::Options options;
  options.device = kDevice;
  options.arena_bytes = arena_bytes;
  return PackedNetwork::load(net.file(), options);
}

std::vector<float> expected_logits(const TinyNetwork& net, const std::vector<float>& x) {
  PackedNetwork network = PackedNetwork::load(net.file(), PackedNetwork::Options());
  return test::run(network, x, false).logits;
}

/// Images and logits in memory of the device, at once.
struct Placed {
  explicit Placed(const std::vector<float>& images)
      : n(int64_t(images.size()) / kImage), x(images), logits(size_t(n * 4), -1.0f) {}
  void enqueue(PackedNetwork& network, Stream stream) {
    network.enqueue({x.data(), {n, 9, 8, 3}}, {logits.data(), {n, 4}}, stream);
  }
  int64_t n;
  std::vector<float> x, logits;
};

}  // namespace

TEST_CASE("a forward of host images on a device waits once, and a given one not at all",
          "[packed]") {
  const FakeDevice device;
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  const auto x = net.images(5);
  const auto expected = expected_logits(net, x);
  PackedNetwork network = load(net);
  fake().synchronizations = 0;
  CHECK(bool(test::run(network, x, false).logits == expected));
  CHECK(bool(test::run(network, x, false).logits == expected));
  CHECK(fake().synchronizations == 2);
  Placed placed(x);
  placed.enqueue(network, {kDevice});
  CHECK(fake().synchronizations == 2);
  CHECK(bool(placed.logits == std::vector<float>(20, -1.0f)));
  fake().run(nullptr);
  CHECK(bool(placed.logits == expected));
}

TEST_CASE("forwards of a network come one after another, in whatever streams they are",
          "[packed]") {
  const FakeDevice device;
  TinyNetwork net;
  const OwnedStream a(kDevice), b(kDevice);
  Placed first(net.images(2)), second(net.images(2)), third(net.images(4));
  PackedNetwork network = load(net);
  first.enqueue(network, a.get());
  second.enqueue(network, b.get());
  third.enqueue(network, a.get());  // which needs a larger arena
  for (Stream stream : {a.get(), b.get()}) fake().run(stream.handle);
  CHECK(first.logits[0] == -1);  // the weights are not there yet
  fake().run(nullptr);
  for (const Placed* placed : {&first, &second, &third}) CHECK(placed->logits[0] == -1);
  fake().run(b.get().handle);
  CHECK(second.logits[0] == -1);
  fake().run(a.get().handle);
  CHECK(bool(first.logits == expected_logits(net, first.x)));
  CHECK(second.logits[0] == -1);
  synchronize(a.get());
  CHECK(bool(second.logits == expected_logits(net, second.x)));
  CHECK(bool(third.logits == expected_logits(net, third.x)));
}

TEST_CASE("memory of a network that is gone is not used again before its last forward",
          "[packed]") {
  const FakeDevice device;
  TinyNetwork net;
  const OwnedStream stream(kDevice);
  Placed placed(net.images(3));
  size_t bytes = 0;
  {
    PackedNetwork network = load(net);
    placed.enqueue(network, stream.get());
    bytes = device_allocator(kDevice).use().live;
  }
  std::vector<std::unique_ptr<Buffer>> all;
  const size_t before = device_allocator(kDevice).device_calls();
  for (size_t size = 512; size <= bytes; size += 512) {
    if (device_allocator(kDevice).use().cached == 0) break;
    for (int i = 0; i < 16; ++i) all.push_back(std::make_unique<Buffer>(size, kDevice));
  }
  CHECK(device_allocator(kDevice).device_calls() < before + all.size());
  for (const auto& memory : all) fill_bytes(memory->data(), 0xA5, memory->bytes(), {kDevice});
  fake().run(nullptr);
  synchronize(stream.get());
  CHECK(bool(placed.logits == expected_logits(net, placed.x)));
  synchronize({kDevice});
}

TEST_CASE("a batch beyond the arena's limit goes through a device in parts", "[packed]") {
  const FakeDevice device;
  TinyNetwork net(Kind::wide);
  const auto x = net.images(7);
  const auto expected = expected_logits(net, x);
  PackedNetwork whole = load(net);
  PackedNetwork network = load(net, 2 * whole.activation_bytes(1));
  CHECK(network.activation_bytes(7) == network.activation_bytes(2));
  CHECK(load(net, 1).activation_bytes(7) == network.activation_bytes(1));
  CHECK(bool(test::run(network, x, false).logits == expected));
  Placed placed(x);
  placed.enqueue(network, {kDevice});
  synchronize({kDevice});
  CHECK(bool(placed.logits == expected));
}

TEST_CASE("layers on a device are timed by its clock", "[packed]") {
  const FakeDevice device;
  TinyNetwork net;
  const auto x = net.images(5);
  PackedNetwork network = load(net, 2 * load(net).activation_bytes(1));
  std::vector<float> logits(20);
  std::vector<double> seconds;
  network.profile({x.data(), {5, 9, 8, 3}}, {logits.data(), {5, 4}}, seconds);
  REQUIRE(seconds.size() == network.layers().size());
  // Three parts of a millisecond, as the fake clock has it.
  for (const double s : seconds) CHECK(s == Approx(3e-3));
  CHECK(bool(logits == expected_logits(net, x)));
}

TEST_CASE("a device without memory for weights or activations says so, with its users",
          "[packed]") {
  FakeDevice device;
  TinyNetwork net;
  fake().capacity = 4096;
  CHECK(throws<DeviceError>([&] { load(net); }, "emulated:0: out of memory", "4096 are free",
                            "packed weights") == "");
  fake().capacity = size_t(1) << 20;
  PackedNetwork network = load(net);
  const auto x = net.images(4);
  CHECK(bool(test::run(network, x, false).logits == expected_logits(net, x)));
  device_allocator(kDevice).release_cached();
  fake().capacity = fake().used;
  const auto more = net.images(40);
  CHECK(throws<DeviceError>([&] { test::run(network, more, false); }, "out of memory",
                            "packed weights") == "");
  fake().capacity = size_t(1) << 20;
  CHECK(bool(test::run(network, more, false).logits == expected_logits(net, more)));
}

TEST_CASE("a device that is not there is an error that names it", "[packed]") {
  TinyNetwork net;
  CHECK(throws<DeviceError>([&] { load(net); }, "device emulated", "no emulated backend") == "");
  const FakeDevice device;
  fake().devices = 0;
  CHECK(throws<DeviceError>([&] { load(net); }, "emulated:0", "none made") == "");
  fake().devices = 1;
  fake().refused = 0;
  CHECK(throws<DeviceError>([&] { load(net); }, "emulated:0", "too old") == "");
  fake().refused = -1;
  PackedNetwork::Options options;
  options.device = {kDevice.kind, 3};
  CHECK(throws<DeviceError>([&] { PackedNetwork::load(net.file(), options); }, "emulated:3",
                            "emulated:0 only") == "");
}

TEST_CASE("a network is on the device that it was loaded for, whichever is current", "[packed]") {
  const FakeDevice device;
  fake().devices = 2;
  const Device second{kDevice.kind, 1};
  TinyNetwork net;
  const DeviceGuard current(kDevice);
  {
    PackedNetwork::Options options;
    options.device = second;
    PackedNetwork network = PackedNetwork::load(net.file(), options);
    CHECK(device_allocator(second).use().live >= size_t(network.weight_bytes()));
    CHECK(device_allocator(kDevice).use().live == 0);
    Placed placed(net.images(2));
    CHECK(throws<DeviceError>([&] { placed.enqueue(network, {kDevice}); }, "of emulated:0",
                              "expected of emulated:1") == "");
    CHECK(bool(test::run(network, placed.x, false).logits == expected_logits(net, placed.x)));
    CHECK(device_allocator(kDevice).use().live == 0);
  }
  CHECK(current_device() == kDevice);
  device_allocator(second).release_cached();
}

TEST_CASE("a forward is recorded as a graph once a batch as large was there", "[packed]") {
  const FakeDevice device;
  TinyNetwork net(Kind::projection);
  Placed placed(net.images(3));
  PackedNetwork network = load(net);
  const auto record = [&] {
    return Graph(kDevice, [&] { placed.enqueue(network, current_stream(kDevice)); });
  };
  CHECK(throws<DeviceError>([&] { record(); }, "graph", "largest batch") == "");
  placed.enqueue(network, {kDevice});
  synchronize({kDevice});
  const Graph graph = record();
  CHECK(throws<DeviceError>([&] { Graph(kDevice, [&] { test::run(network, placed.x, false); }); },
                            "graph", "images on the host") == "");
  for (int round = 0; round < 2; ++round) {
    const auto others = net.images(3);
    std::copy(others.begin(), others.end(), placed.x.begin());
    std::fill(placed.logits.begin(), placed.logits.end(), -1.0f);
    graph.launch({kDevice});
    synchronize({kDevice});
    CHECK(bool(placed.logits == expected_logits(net, placed.x)));
  }
}

}  // namespace apprentice
