#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include <apprentice/data/dataset.h>

namespace apprentice::data {

/// Pictures as their files hold them, in the order of the archive or folder.
struct EncodedImages {
  std::string source;
  std::vector<std::string> names;
  /// Class of each picture, of all in the source (also of those beyond a limit).
  std::vector<std::string> class_names;
  /// Bytes of picture i: [ends[i - 1], ends[i]), as many pictures as were wanted.
  std::vector<uint8_t> bytes;
  std::vector<size_t> ends;

  std::span<const uint8_t> image(int64_t i) const {
    const size_t begin = i == 0 ? 0 : ends[size_t(i - 1)];
    return {bytes.data() + begin, ends[size_t(i)] - begin};
  }
};

/// Largest file of one picture, in bytes.
inline constexpr int64_t kMaxEncodedBytes = 64 << 20;

/// The class of a picture by its path: the name of the folder that holds it; "" if it is no picture
/// (another ending than .jpg, .jpeg, .JPG or .JPEG, or a hidden file).
std::string class_of_path(const std::filesystem::path& path);

/// Decodes all on all cores. Classes are numbered in the sorted order of their names. The size is
/// that of most pictures; DamagedFile if more than half cannot be decoded to it.
ImageSet decode_images(const EncodedImages& images, const ReadOptions& options);

}  // namespace apprentice::data
