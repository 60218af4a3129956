#include <catch2/catch.hpp>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/graph.h>
#include <apprentice/base/stream.h>

#include <device/test_device.h>
#include <packed/network_run.h>
#include <packed/tiny_network.h>
#include <support/throws.h>

// Packed networks on a device, whose kernels are those of kernels/cuda.
namespace apprentice {
namespace {

using packed::PackedNetwork;
using test::Run;
using test::throws;
using test::TinyNetwork;
using Kind = TinyNetwork::Kind;

PackedNetwork load(const TinyNetwork& net, Device device) {
  PackedNetwork::Options options;
  options.device = device;
  return PackedNetwork::load(net.file(), options);
}

/// Logits of images that already lie on the device, computed in `stream`.
class OnDevice {
 public:
  OnDevice(const std::vector<float>& x, Device device)
      : device_(device),
        n_(int64_t(x.size()) / (9 * 8 * 3)),
        x_(x.size() * sizeof(float), device),
        logits_(size_t(n_ * 4) * sizeof(float), device) {
    replace(x);
  }
  void replace(const std::vector<float>& x) {
    copy_bytes(x_.data(), device_, x.data(), {}, x.size() * sizeof(float), {device_});
  }
  void enqueue(PackedNetwork& network, Stream stream) {
    network.enqueue({static_cast<const float*>(x_.data()), {n_, 9, 8, 3}},
                    {static_cast<float*>(logits_.data()), {n_, 4}}, stream);
  }
  std::vector<float> logits() const {
    std::vector<float> all(size_t(n_ * 4));
    copy_bytes(all.data(), {}, logits_.data(), device_, all.size() * sizeof(float), {device_});
    return all;
  }

 private:
  Device device_;
  int64_t n_;
  Buffer x_, logits_;
};

}  // namespace

TEST_CASE("a packed network gives on a device the CPU's integers, layer by layer, and its logits") {
  const Device device = test_device();
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  const auto x = net.images(3);
  PackedNetwork here = load(net, {}), there = load(net, device);
  CHECK(there.device() == device);
  for (const auto& layer : there.layers()) CHECK(layer.family == "cuda");
  const Run expected = test::run(here, x, true), got = test::run(there, x, true);
  REQUIRE(expected.trace.size() == net.description.layers.size());
  for (const auto& [layer, parts] : expected.trace) {
    for (const auto& [part, values] : parts) {
      INFO(layer << " " << part);
      CHECK(bool(got.trace.at(layer).at(part) == values));
    }
  }
  CHECK(bool(got.logits == expected.logits));
  CHECK(bool(test::run(there, x, false).logits == expected.logits));
}

TEST_CASE("a packed network on a device gives the CPU's logits for every batch, stream and road") {
  const Device device = test_device();
  TinyNetwork net(GENERATE(Kind::option_a, Kind::projection));
  const auto x = net.images(9);
  PackedNetwork here = load(net, {}), there = load(net, device), other = load(net, device);
  const OwnedStream stream(device);
  for (const int64_t n : {2, 9, 1, 0}) {
    INFO(n << " images");
    const std::vector<float> some(x.begin(), x.begin() + n * 216);
    const auto expected = test::run(here, some, false).logits;
    CHECK(bool(test::run(there, some, false).logits == expected));
    OnDevice first(some, device), second(some, device);
    first.enqueue(there, stream.get());
    second.enqueue(other, {device});
    CHECK(bool(first.logits() == expected));
    CHECK(bool(second.logits() == expected));
  }
}

TEST_CASE("a forward on a device takes memory only where its batch is the largest so far") {
  const Device device = test_device();
  TinyNetwork net(Kind::option_a);
  const int64_t side = 36, size = side * side * 3;  // 324 pixels are pooled
  net.description.height = net.description.width = side;
  PackedNetwork network = load(net, device);
  const Buffer x(size_t(4 * size) * sizeof(float), device), y(16 * sizeof(float), device);
  const std::vector<float> images(size_t(4 * size), 0.5f);
  std::vector<float> logits(16);
  copy_bytes(x.data(), device, images.data(), {}, images.size() * sizeof(float), {device});
  const auto enqueue = [&](int64_t n) {
    network.enqueue({static_cast<const float*>(x.data()), {n, side, side, 3}},
                    {static_cast<float*>(y.data()), {n, 4}}, {device});
  };
  const auto forward = [&](int64_t n) {
    network.forward({images.data(), {n, side, side, 3}}, {logits.data(), {n, 4}});
  };
  enqueue(3);
  forward(3);
  DeviceAllocator& allocator = device_allocator(device);
  allocator.release_cached();  // so whoever takes memory must ask the device
  const size_t calls = allocator.device_calls(), live = allocator.use().live;
  for (const int64_t n : {3, 1, 2}) {
    enqueue(n);
    forward(n);
  }
  CHECK(allocator.device_calls() == calls);
  CHECK(allocator.use().live == live);
  forward(4);
  CHECK(allocator.device_calls() > calls);  // the count works
}

TEST_CASE("a recorded forward on a device gives the CPU's logits of new images") {
  const Device device = test_device();
  TinyNetwork net(Kind::projection);
  const auto x = net.images(2), others = net.images(2);
  PackedNetwork here = load(net, {}), there = load(net, device);
  OnDevice images(x, device);
  images.enqueue(there, {device});
  const Graph graph(device, [&] { images.enqueue(there, current_stream(device)); });
  images.replace(others);
  graph.launch({device});
  CHECK(bool(images.logits() == test::run(here, others, false).logits));
}

TEST_CASE("weights and activations of a network on a device are the device's memory, and its") {
  const Device device = test_device();
  TinyNetwork net(Kind::wide);
  DeviceAllocator& allocator = device_allocator(device);
  const size_t before = allocator.use().live;
  {
    PackedNetwork network = load(net, device);
    const size_t weights = allocator.use().live - before;
    CHECK(weights >= size_t(network.weight_bytes()));
    test::run(network, net.images(4), false);
    CHECK(allocator.use().live - before - weights >= size_t(network.activation_bytes(4)));
    CHECK(allocator.users().front().first == "packed weights");
  }
  CHECK(allocator.use().live == before);
}

TEST_CASE("outputs that a memory plan keeps at the same time do not overlap") {
  const TinyNetwork net(GENERATE(Kind::option_a, Kind::projection, Kind::wide));
  const PackedNetwork network = load(net, test_device());
  const auto plan = network.memory_plan(7);
  const auto& layers = net.description.layers;
  REQUIRE(plan.size() == layers.size());
  CHECK(plan.back().bytes == 0);
  for (size_t i = 0; i < plan.size(); ++i) {
    const auto& [height, width, channels] = network.layers()[i].y;
    const int64_t size = layers[i].op == "global_avg_pool" ? 4 : 1;
    if (i + 1 < plan.size()) CHECK(plan[i].bytes == 7 * height * width * channels * size);
    CHECK(plan[i].offset + plan[i].bytes <= network.activation_bytes(7));
    for (size_t j = i + 1; j < plan.size(); ++j) {
      if (layers[j].x == layers[i].y || layers[j].residual == layers[i].y) CHECK(plan[i].last >= j);
      if (plan[i].last < plan[j].first) continue;
      CHECK((plan[i].offset + plan[i].bytes <= plan[j].offset ||
             plan[j].offset + plan[j].bytes <= plan[i].offset));
    }
  }
}

TEST_CASE("a layer that no kernel of the device takes is named, with the reason") {
  const Device device = test_device();
  TinyNetwork net(Kind::deep);
  CHECK(load(net, {}).device().is_cpu());
  CHECK(throws<DeviceError>([&] { load(net, device); }, "layer 'a': int4_conv2d: no kernel",
                            name_of(device.kind), "73800 products a sum", "tensor cores") == "");
}

TEST_CASE("images of another device than the network's are refused") {
  const Device device = test_device();
  TinyNetwork net;
  PackedNetwork here = load(net, {}), there = load(net, device);
  std::vector<float> x(216), logits(4);
  CHECK(throws<DeviceError>(
            [&] {
              there.enqueue({x.data(), {1, 9, 8, 3}}, {logits.data(), {1, 4}}, {});
            },
            "packed network", "of cpu", "expected of " + device.str()) == "");
  OnDevice images(x, device);
  CHECK(throws<DeviceError>([&] { images.enqueue(here, {device}); }, "of " + device.str(),
                            "expected of cpu") == "");
}

}  // namespace apprentice
