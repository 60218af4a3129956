#include <apprentice/base/files.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <apprentice/base/error.h>

namespace apprentice {
namespace {

namespace fs = std::filesystem;

/// Linux moves at most 2 GiB a call.
constexpr size_t kMostAtOnce = size_t(1) << 30;

std::string reason(int error) { return std::strerror(error); }

/// Is the trouble the place (CannotCreate) rather than the device or its space (IoError)?
bool is_about_the_place(int error) {
  return error == ENOENT || error == ENOTDIR || error == EACCES || error == EPERM ||
         error == EROFS || error == EISDIR || error == EEXIST || error == ENOTEMPTY ||
         error == ENAMETOOLONG || error == ELOOP;
}

[[noreturn]] void throw_write_error(const std::string& path, const char* doing, int error) {
  const std::string message = fmt::format("{}: {} failed: {}", path, doing, reason(error));
  if (is_about_the_place(error)) throw CannotCreate(message);
  throw IoError(message);
}

/// An open file, closed at the end of its life.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  /// Closes now; false with errno set if the system reports a late error.
  bool close() { return ::close(std::exchange(fd_, -1)) == 0; }

 private:
  int fd_;
};

void write_all(int fd, std::span<const std::byte> data, const std::string& path) {
  while (!data.empty()) {
    const ssize_t written = ::write(fd, data.data(), std::min(data.size(), kMostAtOnce));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) throw_write_error(path, "writing", errno);
    data = data.subspan(size_t(written));
  }
}

/// Where the bytes really go: symbolic links are followed, so that the link itself stays.
std::string resolved(const std::string& path) {
  std::error_code none;
  return fs::is_symlink(path, none) && fs::exists(path, none) ? fs::canonical(path).string() : path;
}

std::string name_aside(const std::string& path) {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}.tmp-{}-{}", path, ::getpid(), count++);
}

std::string parent_of(const std::string& path) {
  const fs::path parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

using Parts = std::span<const std::span<const std::byte>>;

/// Is it there, and neither a file nor a folder?
bool is_device(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

/// Writes to a device or pipe, which has no "aside" and nothing to make durable.
void write_through(const std::string& path, Parts parts) {
  Descriptor fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (fd.get() < 0) throw_write_error(path, "opening", errno);
  for (const auto part : parts) write_all(fd.get(), part, path);
}

void write_synced(const std::string& aside, const std::string& path, Parts parts) {
  Descriptor fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (fd.get() < 0) throw_write_error(path, "creating", errno);
  for (const auto part : parts) write_all(fd.get(), part, path);
  if (::fsync(fd.get()) != 0) throw_write_error(path, "fsync", errno);
  if (!fd.close()) throw_write_error(path, "closing", errno);
}

void rename_and_sync(const std::string& from, const std::string& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) throw_write_error(to, "renaming", errno);
  sync_path(parent_of(to));
}

}  // namespace

InputFile::InputFile(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  const int error = errno;
  check<MissingInput>(fd_ >= 0 || (error != ENOENT && error != ENOTDIR), "{}: no such file", path_);
  check<IoError>(fd_ >= 0, "{}: opening failed: {}", path_, reason(error));
  struct stat info {};
  if (::fstat(fd_, &info) == 0 && S_ISREG(info.st_mode)) {
    bytes_ = size_t(info.st_size);
    return;
  }
  ::close(fd_);
  throw DamagedFile(fmt::format("{}: is {}, expected a file", path_,
                                S_ISDIR(info.st_mode) ? "a folder" : "no regular file"));
}

InputFile::~InputFile() { ::close(fd_); }

void InputFile::read(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = ::read(fd_, out.data(), std::min(out.size(), kMostAtOnce));
    if (got < 0 && errno == EINTR) continue;
    check<IoError>(got >= 0, "{}: reading failed: {}", path_, reason(errno));
    check<DamagedFile>(got > 0, "{}: ends {} bytes early", path_, out.size());
    out = out.subspan(size_t(got));
  }
}

std::string read_file(const std::string& path, size_t max_bytes) {
  InputFile file(path);
  check<DamagedFile>(file.bytes() <= max_bytes, "{}: {} bytes, expected at most {}", path,
                     file.bytes(), max_bytes);
  std::string text(file.bytes(), '\0');
  file.read(std::as_writable_bytes(std::span(text)));
  return text;
}

void check_writable(const std::string& path) {
  check<CannotCreate>(!fs::is_directory(path), "{}: is a folder, expected a file to write", path);
  if (is_device(path)) return;
  const std::string aside = name_aside(resolved(path));
  const Descriptor fd(::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (fd.get() < 0) throw_write_error(path, "creating", errno);
  ::unlink(aside.c_str());
}

void write_file_durably(const std::string& path, Parts parts) {
  if (is_device(path)) return write_through(path, parts);
  const std::string target = resolved(path), aside = name_aside(target);
  try {
    write_synced(aside, path, parts);
    rename_and_sync(aside, target);
  } catch (const Error&) {
    ::unlink(aside.c_str());
    throw;
  }
}

void write_file_durably(const std::string& path, std::string_view text) {
  const std::span<const std::byte> part = std::as_bytes(std::span(text));
  write_file_durably(path, Parts(&part, 1));
}

void make_folders(const std::string& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path, error))
    throw_write_error(path, "making the folder", error ? error.value() : ENOTDIR);
}

void sync_path(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) throw_write_error(path, "opening", errno);
  // Some network file systems know no fsync of folders.
  if (::fsync(fd.get()) != 0 && errno != EINVAL && errno != ENOTSUP)
    throw_write_error(path, "fsync", errno);
}

void point_link(const std::string& link, const std::string& target) {
  const std::string aside = name_aside(link);
  if (::symlink(target.c_str(), aside.c_str()) != 0) throw_write_error(link, "linking", errno);
  try {
    rename_and_sync(aside, link);
  } catch (const Error&) {
    ::unlink(aside.c_str());
    throw;
  }
}

size_t file_size(const std::string& path) { return InputFile(path).bytes(); }

DurableFolder::DurableFolder(std::string path) : final_(std::move(path)), aside_(final_ + ".tmp") {
  std::error_code error;
  check<CannotCreate>(!fs::exists(fs::symlink_status(final_, error)), "{}: exists already", final_);
  fs::remove_all(aside_, error);
  fs::create_directories(parent_of(aside_), error);
  if (!fs::create_directory(aside_, error))
    throw_write_error(aside_, "making the folder", error ? error.value() : EEXIST);
}

DurableFolder::~DurableFolder() {
  std::error_code ignored;
  if (!published_) fs::remove_all(aside_, ignored);
}

void DurableFolder::publish() {
  try {
    for (const auto& entry : fs::recursive_directory_iterator(aside_))
      if (!entry.is_symlink()) sync_path(entry.path());
  } catch (const fs::filesystem_error& error) {
    throw IoError(error.what());
  }
  sync_path(aside_);
  rename_and_sync(aside_, final_);
  published_ = true;
}

}  // namespace apprentice
