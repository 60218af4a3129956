#include <apprentice/base/unit.h>
#include <apprentice/kernels/normalize.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

void normalize_images(const NormalizeImages::Args& a) {
  const int64_t height = a.x.size(1), width = a.x.size(2);
  for (int64_t n = 0; n < a.x.size(0); ++n)
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w)
        for (int64_t c = 0; c < a.x.size(3); ++c) {
          const bool mirror = a.mirror && a.mirror(n);
          const int64_t row = h + (a.shift ? a.shift(n, 0) : 0);
          const int64_t column = (mirror ? width - 1 - w : w) + (a.shift ? a.shift(n, 1) : 0);
          const bool inside = row >= 0 && row < height && column >= 0 && column < width;
          a.y(n, h, w, c) =
              inside ? (float(a.x(n, row, column, c)) / 255.0f - a.mean(c)) / a.std(c) : 0.0f;
        }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(normalize_reference) {
  using namespace apprentice::kernels;
  add_reference<NormalizeImages>(normalize_images);
}
