#include <set>

#include <catch2/catch.hpp>

#include <apprentice/data/batch.h>
#include <apprentice/data/find.h>

#include "support/throws.h"

using namespace apprentice;
using data::Augmentation;
using data::Batch;
using data::draw_transform;
using data::ImageSet;
using data::make_batch;
using data::Transform;
using test::throws;

namespace {

const ImageSet& shapes() {
  static const ImageSet set = data::load_dataset("shapes10:40", "train");
  return set;
}

/// What x must hold at one place, by the definition of Transform.
float expected(const ImageSet& set, int64_t id, const Transform& t, int64_t r, int64_t c,
               size_t ch) {
  const int64_t row = r + t.dy, column = (t.mirror ? set.width - 1 - c : c) + t.dx;
  if (row < 0 || row >= set.height || column < 0 || column >= set.width) return 0;
  const uint8_t pixel = set.image(id)[size_t((row * set.width + column) * 3) + ch];
  const auto& normal = set.normalization;
  return (float(pixel) / 255 - normal.mean[ch]) / normal.deviation[ch];
}

}  // namespace

TEST_CASE("a batch holds the normalised, shifted and mirrored pixels of its samples") {
  const Augmentation augmentation = data::augmentation(GENERATE("none", "shift_mirror"));
  const ImageSet& set = shapes();
  const std::vector<int64_t> ids = {7, 3, 39, 3, 0, 12};
  const Batch batch = make_batch(set, ids, augmentation, 5, 2);
  CHECK(batch.ids == ids);
  CHECK(batch.epoch == 2);
  REQUIRE(batch.x.shape() == Shape{6, 32, 32, 3});
  const auto x = batch.x.view<float, 4>();
  for (size_t i = 0; i < ids.size(); ++i) {
    CHECK(batch.labels.data<int64_t>()[i] == ids[i] % 10);
    const Transform t = draw_transform(augmentation, 5, 2, ids[i]);
    bool equal = true;
    for (int64_t p = 0; p < 32 * 32 * 3; ++p) {
      const int64_t r = p / 96, c = p / 3 % 32, ch = p % 3;
      equal = equal && x(i, r, c, ch) == expected(set, ids[i], t, r, c, size_t(ch));
    }
    CAPTURE(i, t.dy, t.dx, t.mirror);
    CHECK(equal);
  }
}

TEST_CASE("shift_mirror draws each shift and side about equally often, by seed, epoch and sample") {
  const Augmentation both = data::augmentation("shift_mirror");
  constexpr int64_t kDraws = 16200;
  std::vector<int64_t> seen(9 * 9 * 2);
  int64_t mirrored = 0;
  for (int64_t id = 0; id < kDraws; ++id) {
    const Transform t = draw_transform(both, 1, 0, id);
    REQUIRE((t.dy >= -4 && t.dy <= 4 && t.dx >= -4 && t.dx <= 4));
    mirrored += t.mirror;
    ++seen[size_t(((t.dy + 4) * 9 + t.dx + 4) * 2 + int(t.mirror))];
  }
  // 100 are expected in each of 162 cells, standard deviation 10: six of them are 40 to 160.
  for (const int64_t times : seen) CHECK((times > 40 && times < 160));
  CHECK(std::abs(mirrored - kDraws / 2) < 382);  // standard deviation 64, six of them
  int same_seed = 0, same_epoch = 0;
  for (int64_t id = 0; id < 1000; ++id) {
    const Transform t = draw_transform(both, 1, 0, id);
    CHECK(t == draw_transform(both, 1, 0, id));
    same_seed += t == draw_transform(both, 2, 0, id);
    same_epoch += t == draw_transform(both, 1, 1, id);
  }
  // By chance 1000/162 = 6 agree, standard deviation 2.5.
  CHECK(same_seed < 22);
  CHECK(same_epoch < 22);
}

TEST_CASE("no augmentation leaves a picture where it is, and an unknown one is named") {
  CHECK(draw_transform(data::augmentation("none"), 1, 2, 3) == Transform{});
  CHECK(throws<ConfigError>([] { data::augmentation("blur"); }, "blur", "shift_mirror") == "");
  CHECK(throws<Error>([] { make_batch(shapes(), {1, 40}); }, "40", "39") == "");
  ImageSet cut = shapes();
  cut.pixels.pop_back();
  CHECK(throws<ShapeError>([&] { make_batch(cut, {1}); }, "122879 bytes", "40 of 32x32x3") == "");
}
