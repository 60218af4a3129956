#include <apprentice/base/unit.h>
#include <apprentice/data/archive_internal.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/encoded_images_internal.h>

namespace apprentice::data {
namespace {

namespace fs = std::filesystem;

bool is_archive(const fs::path& path) {
  const std::string name = path.filename().string();
  return name.ends_with(".tar") || name.ends_with(".tar.gz") || name.ends_with(".tgz") ||
         name.ends_with(".tar.zst");
}

std::vector<fs::path> find(const fs::path& place, const std::string& split) {
  if (!fs::is_directory(place)) {
    return is_archive(place) ? std::vector{place} : std::vector<fs::path>{};
  }
  for (const std::string& name : names_of_split(split)) {
    for (const char* ending : {".tar", ".tar.gz", ".tgz", ".tar.zst"}) {
      const fs::path file = place / (name + ending);
      if (fs::is_regular_file(file)) return {file};
    }
  }
  return {};
}

ImageSet load(const std::vector<fs::path>& files, const ReadOptions& options) {
  EncodedImages images;
  images.source = files.front().string();
  for_each_member(files.front(), [&](const ArchiveMember& member) {
    std::string class_name = class_of_path(member.name());
    if (class_name.empty()) return;
    images.class_names.push_back(std::move(class_name));
    if (options.limit > 0 && int64_t(images.ends.size()) >= options.limit) return;
    check<DamagedFile>(member.bytes() <= kMaxEncodedBytes,
                       "{}: '{}' has {} bytes, at most {} are read", images.source, member.name(),
                       member.bytes(), kMaxEncodedBytes);
    images.names.push_back(member.name());
    member.append_to(images.bytes);
    images.ends.push_back(images.bytes.size());
  });
  return decode_images(images, options);
}

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(archive_images) {
  using namespace apprentice::data;
  formats().add("archive", {.what = "<split>.tar, .tar.gz or .tar.zst of class folders of JPEGs",
                            .priority = 30,
                            .find = find,
                            .load = load});
}
