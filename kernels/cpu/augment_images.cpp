#include <algorithm>
#include <array>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/augment_images.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>

namespace apprentice::kernels {
namespace {

using Args = AugmentImages::Args;
constexpr int64_t kChannels = 3;
/// A byte has 256 values: each channel's are computed once, by the operation's own formula.
using Table = std::array<std::array<float, 256>, kChannels>;

Table table_of(const Args& a) {
  Table table;
  for (size_t c = 0; c < kChannels; ++c)
    for (size_t v = 0; v < 256; ++v) table[c][v] = (float(v) / 255.0f - a.mean[c]) / a.deviation[c];
  return table;
}

/// One output row of the input row `x`.
void augment_row(const Table& table, const Transform& t, int64_t width, const uint8_t* x,
                 float* y) {
  for (int64_t w = 0; w < width; ++w, y += kChannels) {
    const int64_t column = (t.mirror ? width - 1 - w : w) + t.dx;
    if (column < 0 || column >= width) {
      std::fill_n(y, kChannels, 0.0f);
      continue;
    }
    const uint8_t* pixel = x + column * kChannels;
    for (int64_t c = 0; c < kChannels; ++c) y[c] = table[size_t(c)][pixel[c]];
  }
}

void augment_images(const Args& a) {
  const int64_t n = a.ids.numel(), height = a.x.size(1), row = a.x.size(2) * kChannels;
  const Table table = table_of(a);
  std::vector<Transform> transforms(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) {
    transforms[size_t(i)] = a.transform(a.ids(i));
    a.y(i) = a.labels(a.ids(i));
  }
#pragma omp parallel for collapse(2) schedule(static) if (a.x.numel() >= kParallelElements)
  for (int64_t i = 0; i < n; ++i)
    for (int64_t h = 0; h < height; ++h) {
      const Transform& t = transforms[size_t(i)];
      const int64_t from = h + t.dy;
      float* y = a.x.data + (i * height + h) * row;
      if (from < 0 || from >= height)
        std::fill_n(y, row, 0.0f);
      else
        augment_row(table, t, a.x.size(2), a.pixels.data + (a.ids(i) * height + from) * row, y);
    }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(augment_images) {
  using namespace apprentice::kernels;
  add_portable<AugmentImages>(augment_images);
}
