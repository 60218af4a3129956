#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <apprentice/base/shape.h>

namespace apprentice {

/// What a safetensors header says, checked against itself and the size of the data.
struct SafetensorsHeader {
  struct Entry {
    std::string name, dtype;
    Shape shape;
    uint64_t begin = 0, end = 0;  ///< bytes, from the beginning of the data
  };
  std::map<std::string, std::string> metadata;
  std::vector<Entry> entries;  ///< in the order of their data
};

/// Bytes of the header's length field, and the most that it may say.
constexpr size_t kSafetensorsLengthBytes = 8;
constexpr size_t kSafetensorsMaxHeader = size_t(16) << 20;

/// Length of the header from the first 8 bytes of a file of `file_bytes`.
/// DamagedFile naming `file` if it is above the cap or the file's end.
size_t safetensors_header_length(const unsigned char* first8, size_t file_bytes,
                                 const std::string& file);

/// Reads the JSON of a header whose file holds `data_bytes` of data after it.
/// DamagedFile naming `file` and the tensor for every violation of the format.
SafetensorsHeader parse_safetensors_header(std::string_view json, uint64_t data_bytes,
                                           const std::string& file);

}  // namespace apprentice
