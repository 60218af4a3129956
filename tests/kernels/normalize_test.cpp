#include <apprentice/kernels/normalize.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::Outputs;
using test::Random;

TEST_CASE("every normalize_images kernel gives the reference's bits") {
  const auto seed = GENERATE(range(0u, 20u));
  CAPTURE(seed);
  Random random(seed);
  const std::array<int64_t, 4> sizes{random.between(0, 12), random.between(1, 33),
                                     random.between(1, 33), random.pick({1, 3, 4})};
  std::vector<uint8_t> x(size_t(sizes[0] * sizes[1] * sizes[2] * sizes[3]) + 1);
  for (uint8_t& v : x) v = uint8_t(random.below(256));
  std::vector<int32_t> shift(size_t(sizes[0]) * 2 + 1);
  for (int32_t& v : shift) v = int32_t(random.between(-5, 5));
  std::vector<uint8_t> mirror(size_t(sizes[0]) + 1);
  for (uint8_t& v : mirror) v = uint8_t(random.below(2));
  const bool shifted = random.flip(), mirrored = random.flip();
  const auto mean = random.uniform<1>({sizes[3]}, 0.4f, 0.5f);
  const auto std = random.uniform<1>({sizes[3]}, 0.2f, 0.3f);
  test::agree<NormalizeImages>([&](Outputs& out) {
    NormalizeImages::Args a;
    a.x = {x.data(), sizes}, a.y = out.view(sizes, 0), a.mean = mean, a.std = std;
    if (shifted) a.shift = {shift.data(), {sizes[0], 2}};
    if (mirrored) a.mirror = {mirror.data(), {sizes[0]}};
    return a;
  });
}

TEST_CASE("normalize_images mirrors first and then shifts, with zeros after normalisation") {
  const auto family = GENERATE("reference", "simd");
  CAPTURE(family);
  load_dense_units();
  const uint8_t x[] = {0, 51, 102, 255}, mirror[] = {1};
  const float mean[] = {0.2f}, std[] = {0.2f};
  const int32_t shift[] = {0, 1};
  float y[4];
  const NormalizeImages::Args args{{x, {1, 1, 4, 1}}, {y, {1, 1, 4, 1}}, {mean, {1}},
                                   {std, {1}},        {shift, {1, 2}},   {mirror, {1}}};
  kernel_table<NormalizeImages>().select(args, {family, true}).run(args, {});
  // Output column w reads column (3 - w) + 1: outside, 255, 102, 51.
  CHECK(y[0] == 0);
  CHECK(y[1] == (1.0f - 0.2f) / 0.2f);
  CHECK(y[2] == (102.0f / 255 - 0.2f) / 0.2f);
  CHECK(y[3] == (51.0f / 255 - 0.2f) / 0.2f);
}
