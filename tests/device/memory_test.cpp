#include <catch2/catch.hpp>

#include <algorithm>

#include <apprentice/base/device_allocator.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/optimizer.h>

#include <device/test_device.h>

using namespace apprentice;

namespace {

size_t bytes_of(const std::string& label) {
  for (const auto& [name, bytes] : device_allocator(test_device()).users())
    if (name == label) return bytes;
  return 0;
}

}  // namespace

TEST_CASE("memory of a network and its optimizer on a device is named after them") {
  Rng rng(1, RngPurpose::test);
  nn::Linear layer({.in = 300, .out = 20}, rng);
  const size_t parameters = bytes_of("parameters"), optimizer = bytes_of("optimizer");
  const size_t needed = DeviceAllocator::class_of(300 * 20 * 4) + DeviceAllocator::class_of(20 * 4);
  layer.to(test_device());
  CHECK(bytes_of("parameters") == parameters + needed);
  const nn::Sgd sgd({{layer.named_parameters(), 1, 0}}, {.momentum = 0.9});
  CHECK(bytes_of("optimizer") == optimizer + needed);
}
