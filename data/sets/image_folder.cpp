#include <algorithm>
#include <fstream>

#include <apprentice/base/unit.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/encoded_images_internal.h>

namespace apprentice::data {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> sorted_entries(const fs::path& folder) {
  std::vector<fs::path> entries;
  for (const auto& entry : fs::directory_iterator(folder)) entries.push_back(entry.path());
  std::sort(entries.begin(), entries.end());
  return entries;
}

bool holds_pictures(const fs::path& folder) {
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && !class_of_path(entry.path()).empty()) return true;
  }
  return false;
}

/// Are there folders in it, and is the first that is not hidden a folder of pictures?
bool holds_class_folders(const fs::path& folder) {
  for (const fs::path& entry : sorted_entries(folder)) {
    if (fs::is_directory(entry) && entry.filename().string().front() != '.') {
      return holds_pictures(entry);
    }
  }
  return false;
}

std::vector<fs::path> find(const fs::path& place, const std::string& split) {
  if (!fs::is_directory(place)) return {};
  bool has_splits = false;
  for (const char* any : {"train", "test"}) {
    for (const std::string& name : names_of_split(any)) {
      const fs::path folder = place / name;
      if (!fs::is_directory(folder) || !holds_class_folders(folder)) continue;
      if (any == split) return {folder};
      has_splits = true;
    }
  }
  if (has_splits || !holds_class_folders(place)) return {};
  return {place};
}

void append_file(const fs::path& path, std::vector<uint8_t>& out) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const int64_t size = file ? int64_t(file.tellg()) : -1;
  check<IoError>(size >= 0, "{}: cannot be read", path.string());
  check<DamagedFile>(size <= kMaxEncodedBytes, "{}: {} bytes, at most {} are read", path.string(),
                     size, kMaxEncodedBytes);
  const size_t begin = out.size();
  out.resize(begin + size_t(size));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(out.data() + begin), size);
  check<IoError>(file.good(), "{}: cannot be read", path.string());
}

ImageSet load(const std::vector<fs::path>& files, const ReadOptions& options) {
  EncodedImages images;
  images.source = files.front().string();
  for (const fs::path& folder : sorted_entries(files.front())) {
    if (!fs::is_directory(folder) || folder.filename().string().front() == '.') continue;
    for (const fs::path& file : sorted_entries(folder)) {
      std::string class_name = class_of_path(file);
      if (class_name.empty() || !fs::is_regular_file(file)) continue;
      images.class_names.push_back(std::move(class_name));
      if (options.limit > 0 && int64_t(images.ends.size()) >= options.limit) continue;
      images.names.push_back(folder.filename().string() + "/" + file.filename().string());
      append_file(file, images.bytes);
      images.ends.push_back(images.bytes.size());
    }
  }
  return decode_images(images, options);
}

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(image_folder) {
  using namespace apprentice::data;
  formats().add(
      "folder",
      {.what = "<split>/<class>/<name>.jpg, unpacked", .priority = 10, .find = find, .load = load});
}
