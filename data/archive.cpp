#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include <apprentice/base/error.h>
#include <apprentice/data/archive_internal.h>

namespace apprentice::data {
namespace {

constexpr size_t kReadBytes = 1 << 18;

std::string why(archive* from) {
  const char* text = archive_error_string(from);
  return text == nullptr ? "unknown error" : text;
}

struct Close {
  void operator()(archive* open) const { archive_read_free(open); }
};

}  // namespace

void ArchiveMember::read(const std::function<void(const void*, size_t)>& sink) const {
  auto* from = static_cast<archive*>(archive_);
  for (;;) {
    const void* block = nullptr;
    size_t size = 0;
    la_int64_t offset = 0;
    const int status = archive_read_data_block(from, &block, &size, &offset);
    if (status == ARCHIVE_EOF) return;
    check<DamagedFile>(status == ARCHIVE_OK, "{}: {} in '{}'", source_, why(from), name_);
    sink(block, size);
  }
}

void ArchiveMember::append_to(std::vector<uint8_t>& out) const {
  read([&](const void* data, size_t size) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    out.insert(out.end(), bytes, bytes + size);
  });
}

void for_each_member(const std::filesystem::path& path,
                     const std::function<void(const ArchiveMember&)>& visit) {
  const std::unique_ptr<archive, Close> from(archive_read_new());
  check(from != nullptr, "libarchive: out of memory");
  archive_read_support_filter_gzip(from.get());
  archive_read_support_filter_zstd(from.get());
  archive_read_support_format_tar(from.get());
  const std::string source = path.string();
  check<IoError>(access(source.c_str(), R_OK) == 0, "{}: {}", source, std::strerror(errno));
  int status = archive_read_open_filename(from.get(), source.c_str(), kReadBytes);
  check<DamagedFile>(status == ARCHIVE_OK, "{}: {}", source, why(from.get()));
  int64_t seen = 0;
  for (archive_entry* entry = nullptr;; ++seen) {
    status = archive_read_next_header(from.get(), &entry);
    if (status == ARCHIVE_EOF) return;
    check<DamagedFile>(status == ARCHIVE_OK || status == ARCHIVE_WARN, "{}: {} after {} members",
                       source, why(from.get()), seen);
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* name = archive_entry_pathname(entry);
    check<DamagedFile>(name != nullptr, "{}: member {} has no readable name", source, seen);
    visit(ArchiveMember(from.get(), name, archive_entry_size(entry), source));
  }
}

}  // namespace apprentice::data
