#pragma once

#include <cstdint>
#include <string>

namespace apprentice::data {

/// Random changes of training pictures (He et al. 2015, arXiv:1512.03385, section 4.2): a shift by
/// -max_shift to max_shift pixels in each direction, vacated places filled with zeros after
/// normalisation, and mirroring (left-right) of every second picture.
struct Augmentation {
  int max_shift = 0;
  bool mirror = false;
};

/// "none", or "shift_mirror" (max_shift 4 and mirror); ConfigError otherwise.
Augmentation augmentation(const std::string& name);

/// What is done to one picture: y[r][c] = x[r + dy][(mirror ? width - 1 - c : c) + dx], and 0 where
/// that lies outside.
struct Transform {
  int dy = 0, dx = 0;
  bool mirror = false;
  friend bool operator==(const Transform&, const Transform&) = default;
};

/// A pure function of its arguments: the same for any number of workers, ranks, or after a resume.
Transform draw_transform(const Augmentation& augmentation, uint64_t seed, int64_t epoch,
                         int64_t id);

}  // namespace apprentice::data
