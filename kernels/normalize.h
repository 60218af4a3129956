#pragma once

#include <string_view>

#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Bytes of images to normalised numbers, shifted and mirrored:
///   v[n,h,w,c] = (f32(x[n,h,w,c]) / 255 - mean[c]) / std[c], each operation rounded to f32
///   y[n,h,w,c] = v[n, h + shift[n,0], (mirror[n] ? w_size - 1 - w : w) + shift[n,1], c], 0 outside
///   x       [n, h, w, c] u8
///   y       [n, h, w, c] f32
///   mean    [c], std [c]
///   shift   [n, 2] (rows, columns), or absent: none
///   mirror  [n], or absent: none
/// The zeros come after normalisation: what is shifted in is an average pixel. All kernels give the
/// same bits.
struct NormalizeImages {
  static constexpr std::string_view name = "normalize_images", types = "u8f32";
  struct Args {
    View4<const uint8_t> x;
    View4<float> y;
    View1<const float> mean, std;
    View2<const int32_t> shift;
    View1<const uint8_t> mirror;
  };
};

}  // namespace apprentice::kernels
