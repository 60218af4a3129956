#include <algorithm>
#include <cctype>
#include <fstream>

#include <apprentice/base/unit.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/parallel_internal.h>

namespace apprentice::data {
namespace {

namespace fs = std::filesystem;

// A record: 1 label byte, then 1024 red, 1024 green and 1024 blue bytes, row by row.
constexpr int64_t kSide = 32, kPlane = kSide * kSide, kRecord = 1 + 3 * kPlane, kClasses = 10;

/// The number n of data_batch_<n>.bin; -1 for any other name, shortened copies included.
int64_t batch_number(const std::string& name) {
  const std::string prefix = "data_batch_", ending = ".bin";
  if (!name.starts_with(prefix) || !name.ends_with(ending)) return -1;
  if (name.size() > prefix.size() + ending.size() + 6) return -1;
  const std::string digits =
      name.substr(prefix.size(), name.size() - prefix.size() - ending.size());
  const bool number = !digits.empty() && std::all_of(digits.begin(), digits.end(), [](char c) {
    return std::isdigit(static_cast<unsigned char>(c)) != 0;
  });
  return number ? std::stoll(digits) : -1;
}

std::vector<fs::path> find_in(const fs::path& folder, const std::string& split) {
  if (split == "test") {
    const fs::path file = folder / "test_batch.bin";
    return fs::is_regular_file(file) ? std::vector{file} : std::vector<fs::path>{};
  }
  std::vector<std::pair<int64_t, fs::path>> batches;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const int64_t number = batch_number(entry.path().filename().string());
    if (number >= 0) batches.emplace_back(number, entry.path());
  }
  std::sort(batches.begin(), batches.end());
  std::vector<fs::path> files;
  for (auto& [number, path] : batches) files.push_back(std::move(path));
  return files;
}

std::vector<fs::path> find(const fs::path& place, const std::string& split) {
  if (!fs::is_directory(place)) {
    return place.extension() == ".bin" ? std::vector{place} : std::vector<fs::path>{};
  }
  for (const fs::path& folder : {place, place / "cifar-10-batches-bin"}) {
    if (!fs::is_directory(folder)) continue;
    if (auto files = find_in(folder, split); !files.empty()) return files;
  }
  return {};
}

std::vector<uint8_t> read_records(const fs::path& path, int64_t limit) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const int64_t size = file ? int64_t(file.tellg()) : -1;
  check<IoError>(size >= 0, "{}: cannot be read", path.string());
  check<DamagedFile>(size > 0 && size % kRecord == 0,
                     "{}: {} bytes are no whole number of CIFAR-10 records of {} bytes",
                     path.string(), size, kRecord);
  std::vector<uint8_t> records(size_t(std::min(size, limit * kRecord)));
  file.seekg(0);
  file.read(reinterpret_cast<char*>(records.data()), int64_t(records.size()));
  check<IoError>(file.good(), "{}: cannot be read", path.string());
  return records;
}

/// Appends the records, planes turned into pixels.
void append(const std::vector<uint8_t>& records, const fs::path& path, ImageSet& set) {
  const int64_t count = int64_t(records.size()) / kRecord, first = set.count;
  set.count += count;
  set.pixels.resize(size_t(set.count * set.image_bytes()));
  for (int64_t i = 0; i < count; ++i) {
    const int64_t label = records[size_t(i * kRecord)];
    check<DamagedFile>(label < kClasses, "{}: record {} has label {}, expected 0 to {}",
                       path.string(), i, label, kClasses - 1);
    set.labels.push_back(label);
  }
  parallel_blocks(count, 256, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const uint8_t* planes = records.data() + i * kRecord + 1;
      uint8_t* pixels = set.pixels.data() + (first + i) * set.image_bytes();
      for (int64_t p = 0; p < kPlane; ++p) {
        for (int64_t c = 0; c < 3; ++c) pixels[p * 3 + c] = planes[c * kPlane + p];
      }
    }
  });
}

ImageSet load(const std::vector<fs::path>& files, const ReadOptions& options) {
  ImageSet set;
  set.name = files.size() == 1 ? files.front().string() : files.front().parent_path().string();
  set.height = set.width = kSide;
  set.classes = {"airplane", "automobile", "bird",  "cat",  "deer",
                 "dog",      "frog",       "horse", "ship", "truck"};
  const int64_t limit = options.limit > 0 ? options.limit : INT64_MAX / kRecord;
  uintmax_t bytes = 0;
  for (const fs::path& file : files) bytes += fs::file_size(file);
  const int64_t count = std::min(limit, int64_t(bytes) / kRecord);
  set.pixels.reserve(size_t(count * set.image_bytes()));
  set.labels.reserve(size_t(count));
  for (const fs::path& file : files) {
    if (set.count >= limit) break;
    append(read_records(file, limit - set.count), file, set);
  }
  return set;
}

}  // namespace
}  // namespace apprentice::data

APPRENTICE_UNIT(cifar_binary) {
  using namespace apprentice::data;
  formats().add(
      "cifar_binary",
      {.what = "CIFAR-10 binary: data_batch_<n>.bin and test_batch.bin, 3073-byte records",
       .priority = 20,
       .find = find,
       .load = load});
}
