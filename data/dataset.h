#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include <apprentice/base/registry.h>

namespace apprentice::data {

/// A pixel u8 becomes (u8 / 255 - mean[c]) / deviation[c]. Default: what the CIFAR teachers were
/// trained with.
struct Normalization {
  std::array<float, 3> mean{0.485f, 0.456f, 0.406f};
  std::array<float, 3> deviation{0.229f, 0.224f, 0.225f};
};

/// Samples that could not be decoded and were replaced by others.
struct BadSamples {
  int64_t count = 0;
  /// "name: why", in the order of the set, the first kMaxNames of them.
  std::vector<std::string> names;
  static constexpr int64_t kMaxNames = 20;
};

/// A set of labelled pictures of one size, held in memory as bytes.
struct ImageSet {
  /// What it was loaded from, for messages and logs.
  std::string name;
  int64_t count = 0, height = 0, width = 0, channels = 3;
  /// [count, height, width, channels] u8, RGB.
  std::vector<uint8_t> pixels;
  /// [count], each in [0, classes.size()).
  std::vector<int64_t> labels;
  /// Names of the classes, by label.
  std::vector<std::string> classes;
  Normalization normalization;
  BadSamples bad;

  int64_t image_bytes() const { return height * width * channels; }
  /// Bytes of sample i, [height, width, channels].
  std::span<const uint8_t> image(int64_t i) const {
    return {pixels.data() + i * image_bytes(), size_t(image_bytes())};
  }
};

/// What happens to a sample that cannot be decoded: an error, or another good sample of the set in
/// its place, drawn by (its index), counted and named in ImageSet::bad.
enum class OnBadSample { error, replace };
/// "error" or "replace"; ConfigError otherwise.
OnBadSample on_bad_sample(const std::string& name);

/// How any format is read.
struct ReadOptions {
  OnBadSample on_bad_sample = OnBadSample::replace;
  /// Only the first so many samples; 0: all.
  int64_t limit = 0;
};

/// Under which names files and folders hold `split`: "test" is also called val, valid or
/// validation. ConfigError unless it is "train" or "test".
std::vector<std::string> names_of_split(const std::string& split);

/// A way to keep a data set in files. `sets/` holds one file a format, each with its
/// APPRENTICE_UNIT.
struct Format {
  /// One line for users: what is in such files.
  std::string what{};
  /// Formats are asked from the highest; the first that finds something reads it.
  int priority = 0;
  /// The files (or folders) that make up `split` ("train", "test") at `place`, a file or folder
  /// that exists; empty if `place` is not of this format. A file given by itself is the whole set,
  /// for any split.
  std::function<std::vector<std::filesystem::path>(const std::filesystem::path& place,
                                                   const std::string& split)>
      find{};
  /// Reads what find() returned. MissingInput, IoError or DamagedFile naming the file.
  std::function<ImageSet(const std::vector<std::filesystem::path>& files, const ReadOptions&)>
      load{};
};
Registry<Format>& formats();

/// A data set that users call by name. One that is merely found in files needs no entry here.
struct NamedSet {
  /// One line for users.
  std::string what{};
  /// Makes `split` out of nothing, with `size` samples (0: the default number). Null if it is no
  /// generated set.
  std::function<ImageSet(const std::string& split, int64_t size)> generate{};
  /// Downloads the set into the folder `to` (created), checked against its checksum; IoError saying
  /// what failed. Null if it cannot be had that way.
  std::function<void(const std::filesystem::path& to)> fetch{};
  /// For the error message: which files to put in its folder and where they come from.
  std::string how_to_get{};
};
Registry<NamedSet>& datasets();

}  // namespace apprentice::data
