#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace apprentice::data {

/// Sizes that a picture may have, against files that are made to exhaust memory or time.
inline constexpr int64_t kMaxImageSide = 16384;
inline constexpr int64_t kMaxImagePixels = 100'000'000;
inline constexpr int kMaxJpegScans = 500;

struct ImageSize {
  int64_t height = 0, width = 0;
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

/// Decodes JPEGs by libjpeg-turbo with its defaults (slow-integer DCT, fancy upsampling), to RGB;
/// grey is expanded, EXIF orientation not applied. One decoder serves one thread, any number of
/// pictures. A warning of the library (such as truncated data) counts as damage.
class JpegDecoder {
 public:
  JpegDecoder();
  ~JpegDecoder();
  JpegDecoder(const JpegDecoder&) = delete;
  JpegDecoder& operator=(const JpegDecoder&) = delete;

  /// Size as the header tells it. DamagedFile saying why if there is none within the limits.
  ImageSize size(std::span<const uint8_t> bytes);
  /// Decodes to `rgb`, [size.height, size.width, 3]. DamagedFile saying why, also if the picture
  /// has another size than `size`; `rgb` then holds anything.
  void decode(std::span<const uint8_t> bytes, ImageSize size, uint8_t* rgb);

 private:
  struct Impl;
  Impl* impl_;
};

}  // namespace apprentice::data
