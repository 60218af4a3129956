#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <apprentice/base/philox.h>
#include <apprentice/base/view.h>

namespace apprentice::kernels {

/// Random changes of training pictures (He et al. 2015, arXiv:1512.03385, section 4.2): a shift by
/// -max_shift to max_shift pixels in each direction, vacated places filled with zeros after
/// normalisation, and mirroring (left-right) of every second picture.
struct Augmentation {
  int32_t max_shift = 0;
  bool mirror = false;
};

/// What is done to one picture: y[r][c] = x[r + dy][(mirror ? width - 1 - c : c) + dx], and 0 where
/// that lies outside.
struct Transform {
  int32_t dy = 0, dx = 0;
  bool mirror = false;
  friend bool operator==(const Transform&, const Transform&) = default;
};

/// A pure function of its arguments: the same for any number of workers, ranks, or after a resume,
/// and on every device.
constexpr Transform draw_transform(const Augmentation& augmentation, uint64_t seed, int64_t epoch,
                                   int64_t sample) {
  Transform transform;
  if (augmentation.max_shift == 0 && !augmentation.mirror) return transform;
  philox::Stream random(seed, RngPurpose::augment, uint32_t(epoch), uint64_t(sample));
  const auto shifts = uint32_t(2 * augmentation.max_shift + 1);
  transform.dy = int32_t(random.below(shifts)) - augmentation.max_shift;
  transform.dx = int32_t(random.below(shifts)) - augmentation.max_shift;
  transform.mirror = augmentation.mirror && random.below(2) == 1;
  return transform;
}

/// A batch of pictures out of a set: sample i is picture ids[i], normalised, then changed by
/// draw_transform(augmentation, key[0], key[1], ids[i]).
///   v = (f32(byte) / 255 - mean[c]) / deviation[c], each operation rounded to f32
///   pixels   [count, h, w, 3] u8
///   labels   [count]
///   key      [2]: seed, epoch
///   ids      [n], each in [0, count)
///   x        [n, h, w, 3] f32
///   y        [n]: labels[ids[i]]
/// The zeros come after normalisation: what is shifted in is an average pixel. All kernels give the
/// same bits. Key and ids are memory of the device, so a captured launch makes other batches.
struct AugmentImages {
  static constexpr std::string_view name = "augment_images", types = "u8f32";
  struct Args {
    View4<const uint8_t> pixels;
    View1<const int64_t> labels, key, ids;
    std::array<float, 3> mean, deviation;
    Augmentation augmentation;
    View4<float> x;
    View1<int64_t> y;

    constexpr Transform transform(int64_t id) const {
      return draw_transform(augmentation, uint64_t(key.data[0]), key.data[1], id);
    }
  };
};

}  // namespace apprentice::kernels
