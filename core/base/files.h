#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace apprentice {

/// A regular file open for reading from its beginning on.
class InputFile {
 public:
  /// MissingInput if there is none, DamagedFile if it is a folder or device, IoError otherwise.
  explicit InputFile(std::string path);
  ~InputFile();
  InputFile(const InputFile&) = delete;
  InputFile& operator=(const InputFile&) = delete;

  const std::string& path() const { return path_; }
  /// Size of the whole file when it was opened.
  size_t bytes() const { return bytes_; }
  /// Fills `out` with the next bytes. DamagedFile if the file ends before, IoError if reading
  /// fails.
  void read(std::span<std::byte> out);

 private:
  std::string path_;
  int fd_;
  size_t bytes_ = 0;
};

/// The whole file. MissingInput if there is none, DamagedFile if it is larger than `max_bytes` or
/// no regular file, IoError with the system's reason if reading fails.
std::string read_file(const std::string& path, size_t max_bytes = size_t(1) << 40);

/// Writes the parts, one after the other, to `path` so that it holds either what it held before or
/// all of them, even after a power cut: written aside (`path` + ".tmp-<pid>-<n>"), fsynced,
/// renamed, folder fsynced. On failure the file aside is removed. CannotCreate if the file cannot
/// be made, IoError (disk full, quota, size limit) naming the path and the system's reason
/// otherwise.
void write_file_durably(const std::string& path, std::span<const std::span<const std::byte>> parts);
void write_file_durably(const std::string& path, std::string_view text);

/// CannotCreate if write_file_durably() could not make `path`: its folder is not there or cannot be
/// written, or a folder bears its name. For what is written after hours of work.
void check_writable(const std::string& path);

/// Makes the folder and its parents; fine if it exists. CannotCreate otherwise.
void make_folders(const std::string& path);
/// fsync of a file or folder. IoError if it fails.
void sync_path(const std::string& path);
/// Makes `link` a symbolic link to `target` (relative to the link's folder) in one step: readers
/// see the old one or the new one. The folder is fsynced. CannotCreate or IoError.
void point_link(const std::string& link, const std::string& target);
/// Bytes of a regular file. MissingInput if there is none.
size_t file_size(const std::string& path);

/// A folder that appears complete or not at all:
///   DurableFolder folder("checkpoints/step-7");       // makes checkpoints/step-7.tmp, empty
///   write_file_durably(folder.path() + "/x", ...);
///   folder.publish();             // fsyncs all, renames to step-7, fsyncs the parent
/// Not published, it is removed by the destructor. A .tmp folder left by a killed run is replaced.
class DurableFolder {
 public:
  /// CannotCreate if `path` exists or the folder aside cannot be made.
  explicit DurableFolder(std::string path);
  ~DurableFolder();
  DurableFolder(const DurableFolder&) = delete;
  DurableFolder& operator=(const DurableFolder&) = delete;

  /// Where to write until it is published.
  const std::string& path() const { return aside_; }
  /// IoError naming the file if something could not be made durable; the folder is then not
  /// published.
  void publish();

 private:
  std::string final_, aside_;
  bool published_ = false;
};

}  // namespace apprentice
