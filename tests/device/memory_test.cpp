#include <catch2/catch.hpp>

#include <algorithm>
#include <map>

#include <apprentice/base/device_allocator.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/optimizer.h>

#include <device/test_device.h>
#include <distill/tiny_parts.h>
#include <support/temp_folder.h>

using namespace apprentice;

namespace {

size_t bytes_of(const std::string& label) {
  for (const auto& [name, bytes] : device_allocator(test_device()).users())
    if (name == label) return bytes;
  return 0;
}

}  // namespace

TEST_CASE("a run on a device says where its memory goes, and counts no part of it twice") {
  const test::TempFolder folder;
  distill::Recipe recipe;
  recipe.data.name = "colours";
  recipe.train.batch = 4;
  recipe.train.workers = 0;
  distill::TrainerParts parts = test::parts_of(recipe, 12, 4);
  parts.student = std::make_shared<test::OneLayer>(3);
  distill::TrainerOptions options;
  options.output = folder / "run";
  options.device = test_device();
  options.graph = GENERATE(true, false);
  std::map<std::string, int64_t> bytes;
  options.listener.on_event = [&](const distill::Event& event) {
    if (event.kind != "memory") return;
    bytes.clear();
    for (const auto& [name, value] : event.fields)
      if (std::holds_alternative<int64_t>(value)) bytes[name] = std::get<int64_t>(value);
  };
  const size_t data = bytes_of("data set");
  train(parts, options);
  const auto block = [](int64_t n) { return int64_t(DeviceAllocator::class_of(size_t(n))); };
  const int64_t parameters = block(768 * 10 * 4) + block(10 * 4);
  CHECK(bytes.at("parameters") == parameters);
  CHECK(bytes.at("optimizer") == parameters);
  // Pixels and labels of twelve and of four pictures of 16x16.
  CHECK(bytes.at("data_set") - int64_t(data) ==
        block(12 * 768) + block(12 * 8) + block(4 * 768) + block(4 * 8));
  REQUIRE(bytes.count("step") == (options.graph ? 1 : 0));
  // Nothing is counted twice: the parts are together no more than what was taken.
  CHECK(bytes.at("taken") >= bytes.at("parameters") + bytes.at("buffers") + bytes.at("optimizer") +
                                 bytes.at("frozen_networks") + bytes.at("data_set") +
                                 bytes["step"]);
  if (!options.graph) return;
  CHECK(bytes.at("step.gradients") >= parameters);
  CHECK(bytes.at("step") <= bytes.at("step.without_reuse"));
}

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
