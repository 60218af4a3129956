#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace apprentice::data {

/// One regular file of an archive: valid until the visitor returns.
class ArchiveMember {
 public:
  ArchiveMember(void* archive, std::string name, int64_t bytes, const std::string& source)
      : archive_(archive), name_(std::move(name)), bytes_(bytes), source_(source) {}

  const std::string& name() const { return name_; }
  int64_t bytes() const { return bytes_; }
  /// Appends the content to `out`; DamagedFile if the archive is cut or corrupt.
  void append_to(std::vector<uint8_t>& out) const;
  /// Calls sink(data, size) with the content, piece by piece.
  void read(const std::function<void(const void*, size_t)>& sink) const;

 private:
  void* archive_;
  std::string name_;
  int64_t bytes_;
  const std::string& source_;
};

/// Walks over the regular files of a tar archive, plain or compressed with gzip or zstd.
/// IoError if it cannot be opened, DamagedFile if it is no such archive, cut, or corrupt.
void for_each_member(const std::filesystem::path& path,
                     const std::function<void(const ArchiveMember&)>& visit);

}  // namespace apprentice::data
