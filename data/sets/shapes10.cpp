#include <apprentice/base/unit.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/parallel_internal.h>
#include <apprentice/data/shape_scene_internal.h>

namespace apprentice::data {
namespace {

constexpr int64_t kTrainSize = 10'000, kTestSize = 2'000, kMaxSize = 50'000;

/// Sample i shows class i mod 10, drawn by random numbers of (split, i) alone: a longer set begins
/// with the shorter one.
ImageSet generate(const std::string& split, int64_t size) {
  const bool train = split == "train";
  ImageSet set;
  set.name = "shapes10 " + split;
  set.count = size > 0 ? size : train ? kTrainSize : kTestSize;
  check<ConfigError>(set.count <= kMaxSize, "shapes10: {} samples asked for, at most {} are made",
                     set.count, kMaxSize);
  set.height = set.width = kSceneSide;
  set.pixels.resize(size_t(set.count * set.image_bytes()));
  set.labels.resize(size_t(set.count));
  for (const Outline& outline : outlines()) set.classes.emplace_back(outline.name);
  parallel_blocks(set.count, 32, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t label = i % int64_t(set.classes.size());
      Rng rng(train ? 0 : 1, RngPurpose::dataset, 0, uint64_t(i));
      set.labels[size_t(i)] = label;
      draw_scene(size_t(label), rng, set.pixels.data() + i * set.image_bytes());
    }
  });
  return set;
}

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(shapes10) {
  using namespace apprentice::data;
  datasets().add("shapes10",
                 {.what = "generated: textured shapes in clutter, 32x32 pixels, 10 classes",
                  .generate = generate,
                  .fetch = nullptr,
                  .how_to_get = "nothing, it is generated"});
}
