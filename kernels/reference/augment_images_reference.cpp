#include <apprentice/base/unit.h>
#include <apprentice/kernels/augment_images.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

void augment_images(const AugmentImages::Args& a) {
  const int64_t height = a.x.size(1), width = a.x.size(2);
  for (int64_t n = 0; n < a.ids.numel(); ++n) {
    const int64_t id = a.ids(n);
    const Transform t = a.transform(id);
    a.y(n) = a.labels(id);
    for (int64_t h = 0; h < height; ++h)
      for (int64_t w = 0; w < width; ++w)
        for (size_t c = 0; c < 3; ++c) {
          const int64_t row = h + t.dy, column = (t.mirror ? width - 1 - w : w) + t.dx;
          const bool inside = row >= 0 && row < height && column >= 0 && column < width;
          a.x(n, h, w, c) =
              inside ? (float(a.pixels(id, row, column, c)) / 255.0f - a.mean[c]) / a.deviation[c]
                     : 0.0f;
        }
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(augment_images_reference) {
  using namespace apprentice::kernels;
  add_reference<AugmentImages>(augment_images);
}
