#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

namespace apprentice::data {

/// MD5 (RFC 1321): shows that a download is what its publisher named; no protection against
/// forgery.
class Md5 {
 public:
  void update(const void* data, size_t size);
  /// 32 lower-case hexadecimal digits; the object is used up.
  std::string hex();

 private:
  void block(const uint8_t* bytes);

  std::array<uint32_t, 4> state_{0x67452301u, 0xefcdab89u, 0x98badcfeu, 0x10325476u};
  std::array<uint8_t, 64> pending_{};
  uint64_t bytes_ = 0;
};

/// IoError if the file cannot be read.
std::string md5_of_file(const std::filesystem::path& path);

}  // namespace apprentice::data
