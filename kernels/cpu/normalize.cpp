#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/normalize.h>

namespace apprentice::kernels {
namespace {

using Args = NormalizeImages::Args;

/// One output row; `x` is the input row it reads, `shift` and `mirror` as in the operation.
void normalize_row(const Args& a, const float* table, const uint8_t* x, int64_t shift, bool mirror,
                   float* y) {
  const int64_t width = a.x.size(2), channels = a.x.size(3);
  for (int64_t w = 0; w < width; ++w, y += channels) {
    const int64_t column = (mirror ? width - 1 - w : w) + shift;
    if (column < 0 || column >= width) {
      std::fill_n(y, channels, 0.0f);
      continue;
    }
    const uint8_t* pixel = x + column * channels;
    for (int64_t c = 0; c < channels; ++c) y[c] = table[c * 256 + pixel[c]];
  }
}

/// A byte has 256 values: each channel's are computed once, by the operation's own formula.
void normalize_images(const Args& a) {
  const int64_t height = a.x.size(1), channels = a.x.size(3), row = a.x.size(2) * channels;
  std::vector<float> table(size_t(channels * 256));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t v = 0; v < 256; ++v)
      table[size_t(c * 256 + v)] = (float(v) / 255.0f - a.mean(c)) / a.std(c);
#pragma omp parallel for collapse(2) schedule(static) if (a.x.numel() >= kParallelElements)
  for (int64_t n = 0; n < a.x.size(0); ++n)
    for (int64_t h = 0; h < height; ++h) {
      const int64_t from = h + (a.shift ? a.shift(n, 0) : 0);
      float* y = a.y.data + (n * height + h) * row;
      if (from < 0 || from >= height) {
        std::fill_n(y, row, 0.0f);
        continue;
      }
      normalize_row(a, table.data(), a.x.data + (n * height + from) * row,
                    a.shift ? a.shift(n, 1) : 0, a.mirror && a.mirror(n), y);
    }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(normalize) {
  using namespace apprentice::kernels;
  add_portable<NormalizeImages>(normalize_images);
}
