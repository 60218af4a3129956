#include <algorithm>

#include <catch2/catch.hpp>

#include <apprentice/base/rng.h>
#include <apprentice/packed/schedule_internal.h>

namespace apprentice {

using packed::LayerWork;
using packed::Lifetime;
using packed::MemoryPlan;
using packed::Schedule;

namespace {

/// Two blocks that live at the same time and share a byte, or -1.
int first_overlap(const std::vector<Lifetime>& blocks, const MemoryPlan& plan) {
  for (size_t i = 0; i < blocks.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      const auto &a = blocks[i], &b = blocks[j];
      const bool together = a.first <= b.last && b.first <= a.last;
      const bool apart =
          plan.offset[i] + a.bytes <= plan.offset[j] || plan.offset[j] + b.bytes <= plan.offset[i];
      if (together && !apart) return int(i);
    }
  }
  return -1;
}

/// A network of four layers a stage whose maps shrink by half: each second layer has a shortcut.
std::vector<LayerWork> shrinking(int stages, int64_t bytes) {
  std::vector<LayerWork> layers;
  for (int i = 0; i < 4 * stages; ++i) {
    const int64_t size = bytes >> (i / 4);
    layers.push_back({i - 1, i % 2 ? i - 2 : -1, 2 * size, size});
  }
  return layers;
}

}  // namespace

TEST_CASE("blocks that live at the same time never overlap, and lie on cache lines", "[packed]") {
  Rng rng(5, RngPurpose::test);
  for (int trial = 0; trial < 50; ++trial) {
    std::vector<Lifetime> blocks;
    for (int i = 0; i < 40; ++i) {
      const size_t first = rng.below(30);
      blocks.push_back({int64_t(rng.below(5000)), first, first + rng.below(6)});
    }
    const MemoryPlan plan = packed::plan_memory(blocks);
    CHECK(first_overlap(blocks, plan) == -1);
    for (size_t i = 0; i < blocks.size(); ++i) {
      CHECK(plan.offset[i] % 64 == 0);
      CHECK(plan.offset[i] + blocks[i].bytes <= plan.bytes);
    }
  }
}

TEST_CASE("the arena of a residual network holds three of its largest maps", "[packed]") {
  // A shortcut lives while the two layers beside it run.
  const Schedule s = packed::make_schedule(shrinking(3, 64000), 1, 0);
  CHECK(s.memory.bytes == 3 * 64000);
}

TEST_CASE("layers take as many images at a time as their activations fit the cache", "[packed]") {
  const auto layers = shrinking(4, 64000);  // 192 kB a layer and image, then half of it
  const Schedule s = packed::make_schedule(layers, 6, 400'000);
  REQUIRE(s.segments.size() == 3);
  CHECK(s.segments[0].images == 2);
  CHECK(s.segments[1].images == 4);
  CHECK(s.segments[2].images == 6);
  CHECK(s.segments[2].end == layers.size());
  // What a later segment reads holds all images of the chunk.
  for (size_t i = 0; i < layers.size(); ++i) {
    CHECK(s.whole[i] == (i == 3 || i == 7));
  }
  CHECK(packed::make_schedule(layers, 6, 0).segments.size() == 1);
}

TEST_CASE("no layer of a schedule writes over what a later one still reads", "[packed]") {
  const int64_t images = 6;
  const auto layers = shrinking(4, 6400);
  for (const int64_t cache : {0, 1, 20'000, 40'000, 80'000, 1'000'000}) {
    const Schedule s = packed::make_schedule(layers, images, cache);
    // Runs it on memory that notes who wrote each byte: layer and image.
    std::vector<std::pair<int, int64_t>> memory(size_t(s.memory.bytes), {-1, -1});
    const auto at = [&](size_t layer, int64_t image, int64_t first) {
      const int64_t within = s.whole[layer] ? image : image - first;
      return memory.begin() + s.memory.offset[layer] + within * layers[layer].writes;
    };
    const auto holds = [&](int layer, int64_t image, int64_t first) {
      if (layer < 0) return true;
      const auto from = at(size_t(layer), image, first);
      return std::all_of(from, from + layers[size_t(layer)].writes,
                         [&](const auto& by) { return by == std::pair(layer, image); });
    };
    for (const auto& segment : s.segments) {
      for (int64_t first = 0; first < images; first += segment.images) {
        for (size_t i = segment.begin; i < segment.end; ++i) {
          const int64_t end = std::min(images, first + segment.images);
          for (int64_t image = first; image < end; ++image) {
            CHECK(holds(layers[i].x, image, first));
            CHECK(holds(layers[i].residual, image, first));
            if (i + 1 == layers.size()) continue;
            const auto to = at(i, image, first);
            std::fill(to, to + layers[i].writes, std::pair(int(i), image));
          }
        }
      }
    }
  }
}

}  // namespace apprentice
