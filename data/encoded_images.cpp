#include <algorithm>
#include <map>
#include <optional>

#include <apprentice/base/rng.h>
#include <apprentice/data/encoded_images_internal.h>
#include <apprentice/data/jpeg.h>
#include <apprentice/data/parallel_internal.h>

namespace apprentice::data {
namespace {

/// So many pictures from the beginning are asked for the size of all.
constexpr int64_t kSizeVotes = 101;
constexpr int64_t kDecodeGrain = 64;

/// The size of most of the first pictures; the one seen first among equals.
ImageSize common_size(const EncodedImages& images, int64_t count) {
  JpegDecoder decoder;
  std::vector<std::pair<ImageSize, int>> votes;
  std::string first_error;
  for (int64_t i = 0; i < std::min(count, kSizeVotes); ++i) {
    try {
      const ImageSize size = decoder.size(images.image(i));
      const auto at = std::find_if(votes.begin(), votes.end(),
                                   [&](const auto& vote) { return vote.first == size; });
      if (at == votes.end()) {
        votes.emplace_back(size, 1);
      } else {
        ++at->second;
      }
    } catch (const DamagedFile& error) {
      if (first_error.empty()) first_error = images.names[size_t(i)] + ": " + error.what();
    }
  }
  check<DamagedFile>(!votes.empty(), "{}: no picture can be decoded; {}", images.source,
                     first_error);
  return std::max_element(votes.begin(), votes.end(),
                          [](const auto& a, const auto& b) { return a.second < b.second; })
      ->first;
}

/// Numbers the classes and labels the first `count` pictures.
void label(const EncodedImages& images, ImageSet& set) {
  std::map<std::string, int64_t> numbers;
  for (const std::string& name : images.class_names) numbers.emplace(name, 0);
  for (auto& [name, number] : numbers) {
    number = int64_t(set.classes.size());
    set.classes.push_back(name);
  }
  set.labels.resize(size_t(set.count));
  for (size_t i = 0; i < set.labels.size(); ++i) set.labels[i] = numbers[images.class_names[i]];
}

/// Decodes into set.pixels; what was wrong with each picture, or nothing.
std::vector<std::optional<std::string>> decode_all(const EncodedImages& images, ImageSet& set) {
  std::vector<std::optional<std::string>> faults(size_t(set.count));
  const ImageSize size{set.height, set.width};
  parallel_blocks(set.count, kDecodeGrain, [&](int64_t begin, int64_t end) {
    JpegDecoder decoder;
    for (int64_t i = begin; i < end; ++i) {
      try {
        decoder.decode(images.image(i), size, set.pixels.data() + i * set.image_bytes());
      } catch (const DamagedFile& error) {
        faults[size_t(i)] = error.what();
      }
    }
  });
  return faults;
}

/// Puts another good sample, picture and label, in the place of sample i.
void replace(ImageSet& set, int64_t i, const std::vector<std::optional<std::string>>& faults) {
  Rng rng(0, RngPurpose::dataset, 0, uint64_t(i));
  int64_t other = i;
  while (faults[size_t(other)]) other = rng.below(uint32_t(set.count));
  const auto image = set.image(other);
  std::copy(image.begin(), image.end(), set.pixels.begin() + i * set.image_bytes());
  set.labels[size_t(i)] = set.labels[size_t(other)];
}

}  // namespace

std::string class_of_path(const std::filesystem::path& path) {
  const std::string ending = path.extension().string();
  const bool picture =
      ending == ".jpg" || ending == ".jpeg" || ending == ".JPG" || ending == ".JPEG";
  if (!picture || path.filename().string().front() == '.') return "";
  const std::string folder = path.parent_path().filename().string();
  check<DamagedFile>(!folder.empty() && folder != ".",
                     "picture '{}' lies in no folder; expected <class>/<name>.jpg", path.string());
  return folder;
}

ImageSet decode_images(const EncodedImages& images, const ReadOptions& options) {
  ImageSet set;
  set.name = images.source;
  set.count = int64_t(images.ends.size());
  check<DamagedFile>(set.count > 0, "{}: no picture in it; expected <class>/<name>.jpg",
                     images.source);
  const ImageSize size = common_size(images, set.count);
  set.height = size.height;
  set.width = size.width;
  set.pixels.resize(size_t(set.count * set.image_bytes()));
  label(images, set);
  const auto faults = decode_all(images, set);
  for (int64_t i = 0; i < set.count; ++i) {
    if (!faults[size_t(i)]) continue;
    const std::string what = images.names[size_t(i)] + ": " + *faults[size_t(i)];
    check<DamagedFile>(options.on_bad_sample == OnBadSample::replace, "{}: {}", images.source,
                       what);
    if (++set.bad.count <= BadSamples::kMaxNames) set.bad.names.push_back(what);
  }
  check<DamagedFile>(set.bad.count * 2 <= set.count,
                     "{}: {} of {} pictures cannot be used, as all must be JPEGs of one size, here "
                     "{}x{}; first: {}",
                     images.source, set.bad.count, set.count, set.width, set.height,
                     set.bad.names.empty() ? "" : set.bad.names.front());
  for (int64_t i = 0; i < set.count && set.bad.count > 0; ++i) {
    if (faults[size_t(i)]) replace(set, i, faults);
  }
  return set;
}

}  // namespace apprentice::data
