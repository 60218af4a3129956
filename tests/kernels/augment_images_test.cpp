#include <apprentice/kernels/augment_images.h>

#include <deque>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

TEST_CASE("every augment_images kernel gives the reference's bits and labels") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t count = random.between(1, 9), n = random.between(0, 12);
  const std::array<int64_t, 4> sizes{count, random.between(1, 33), random.between(1, 33), 3};
  std::vector<uint8_t> pixels(size_t(count * sizes[1] * sizes[2] * 3));
  for (uint8_t& v : pixels) v = uint8_t(random.below(256));
  std::vector<int64_t> labels(static_cast<size_t>(count)), ids(size_t(n) + 1);
  for (int64_t& v : labels) v = random.below(1000);
  for (int64_t& v : ids) v = random.below(count);
  const int64_t key[] = {-5 - int64_t(seed), random.below(300)};
  const Augmentation augmentation{int32_t(random.between(0, 5)), random.flip()};
  std::deque<std::vector<int64_t>> y;
  test::agree<AugmentImages>([&](Outputs& out) {
    return AugmentImages::Args{.pixels = {pixels.data(), sizes},
                               .labels = {labels.data(), {count}},
                               .key = {key, {2}},
                               .ids = {ids.data(), {n}},
                               .mean = {0.4f, 0.5f, 0.6f},
                               .deviation = {0.2f, 0.3f, 0.25f},
                               .augmentation = augmentation,
                               .x = out.view<4>({n, sizes[1], sizes[2], 3}, 0),
                               .y = {y.emplace_back(size_t(n) + 1, -1).data(), {n}}};
  });
  for (const auto& got : y)
    for (size_t i = 0; i < size_t(n); ++i) CHECK(got[i] == labels[size_t(ids[i])]);
}

TEST_CASE("augment_images mirrors first and then shifts, with zeros after normalisation") {
  const auto family = GENERATE("reference", "simd");
  CAPTURE(family);
  load_dense_units();
  const std::vector<uint8_t> pixels{0, 0, 0, 51, 51, 51, 102, 102, 102, 255, 255, 255};
  const int64_t label = 0, id = 0;
  const Augmentation augmentation{2, true};
  for (int64_t epoch = 0;; ++epoch) {
    const int64_t key[] = {1, epoch};
    if (draw_transform(augmentation, 1, epoch, 0) != Transform{0, 1, true}) continue;
    float x[12];
    int64_t y;
    const AugmentImages::Args args{{pixels.data(), {1, 1, 4, 3}},
                                   {&label, {1}},
                                   {key, {2}},
                                   {&id, {1}},
                                   {0.2f, 0.2f, 0.2f},
                                   {0.2f, 0.2f, 0.4f},
                                   augmentation,
                                   {x, {1, 1, 4, 3}},
                                   {&y, {1}}};
    kernel_table<AugmentImages>().select(args, {family, true}).run(args, {});
    // Output column w reads column (3 - w) + 1: outside, 255, 102, 51.
    CHECK(x[0] == 0);
    CHECK(x[3] == (1.0f - 0.2f) / 0.2f);
    CHECK(x[7] == (102.0f / 255 - 0.2f) / 0.2f);
    CHECK(x[11] == (51.0f / 255 - 0.2f) / 0.4f);
    break;
  }
}
