#include <apprentice/data/find.h>

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <set>

#include <apprentice/base/text.h>

namespace apprentice::data {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

bool is_path(const std::string& text) {
  std::error_code ignored;
  return text.find('/') != std::string::npos || fs::is_regular_file(text, ignored);
}

/// What stands in a folder; nothing if it is none.
std::vector<fs::path> entries(const fs::path& folder) {
  std::vector<fs::path> paths;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored)) paths.push_back(entry.path());
  return paths;
}

bool holds_dataset(const fs::path& place) {
  for (const std::string& name : formats().names()) {
    for (const char* split : {"train", "test"}) {
      if (!formats().get(name).find(place, split).empty()) return true;
    }
  }
  return false;
}

/// What the formats find at a place that exists: the highest that finds files reads them.
std::optional<ImageSet> load_at(const fs::path& place, const std::string& split,
                                const ReadOptions& options) {
  std::vector<const Format*> all;
  for (const std::string& name : formats().names()) all.push_back(&formats().get(name));
  std::stable_sort(all.begin(), all.end(),
                   [](const Format* a, const Format* b) { return a->priority > b->priority; });
  for (const Format* format : all) {
    const auto files = format->find(place, split);
    if (!files.empty()) return format->load(files, options);
  }
  return std::nullopt;
}

std::string known_formats() {
  std::vector<std::string> lines;
  for (const std::string& name : formats().names()) lines.push_back(formats().get(name).what);
  return join(lines, "; ");
}

/// Where a set of that name may lie, in order.
std::vector<fs::path> places_of(const std::string& name, const std::vector<fs::path>& roots) {
  std::vector<fs::path> places;
  for (const fs::path& root : roots) {
    for (const fs::path& folder : {root / "data", root}) {
      for (const char* ending : {"", ".tar", ".tar.gz", ".tar.zst", ".bin"}) {
        places.push_back(folder / (name + ending));
      }
    }
  }
  return places;
}

/// "shapes10:50000": the name, and the number of samples or 0.
std::pair<std::string, int64_t> split_size(const std::string& text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) return {text, 0};
  int64_t size = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + colon + 1, end, size);
  check<ConfigError>(error == std::errc() && stop == end && size > 0,
                     "data set '{}': expected NAME or NAME:SIZE with a positive size", text);
  return {text.substr(0, colon), size};
}

ImageSet generate(const std::string& name, int64_t size, const std::string& split,
                  const ReadOptions& read) {
  const NamedSet& set = datasets().get(name);
  check<ConfigError>(set.generate != nullptr, "data set '{}': its size is given, not chosen", name);
  ImageSet made = set.generate(split, size);
  if (read.limit > 0 && read.limit < made.count) {
    made.count = read.limit;
    made.pixels.resize(size_t(made.count * made.image_bytes()));
    made.labels.resize(size_t(made.count));
  }
  return made;
}

/// Downloads into the first root that can be written; what happened, for the error, or "" if done.
std::string fetch(const NamedSet& set, const std::string& name, const std::vector<fs::path>& roots,
                  const FindOptions& options, fs::path& place) {
  if (!set.fetch) return "";
  if (!options.download) return " Downloading is off.";
  const auto root = std::find_if(roots.begin(), roots.end(), [](const fs::path& path) {
    return fs::is_directory(path) && access(path.c_str(), W_OK) == 0;
  });
  if (root == roots.end()) return " No root can be written to download it.";
  place = *root / "data" / name;
  if (options.note) options.note(fmt::format("downloading {} to {}", name, place.string()));
  try {
    set.fetch(place);
  } catch (const IoError& error) {
    place.clear();
    return fmt::format(" Download failed: {}.", error.what());
  }
  return "";
}

[[noreturn]] void fail_missing(const std::string& name, const std::string& split,
                               const std::vector<fs::path>& roots, const std::string& found,
                               const std::string& download) {
  std::vector<std::string> sought;
  for (const fs::path& root : roots) {
    sought.push_back((root / "data" / name).string());
    sought.push_back((root / name).string());
  }
  const bool known = datasets().has(name);
  std::string message =
      fmt::format("data set '{}', split '{}': not found{}; sought: {}.", name, split,
                  known ? "" : did_you_mean(name, datasets().names()), join(sought, ", "));
  message += found + download;
  const std::string what = known ? datasets().get(name).how_to_get : known_formats();
  throw MissingInput(fmt::format("{} Put into {}: {}", message, sought.front(), what));
}

ImageSet load_named(const std::string& name, const std::string& split, const FindOptions& options) {
  const auto roots = search_roots(options.data_roots);
  std::string found;
  for (const fs::path& place : places_of(name, roots)) {
    if (!is_there(place)) continue;
    if (auto set = load_at(place, split, options.read)) return std::move(*set);
    found += fmt::format(" {} is there but holds no '{}'.", place.string(), split);
  }
  std::string download;
  if (datasets().has(name)) {
    fs::path place;
    download = fetch(datasets().get(name), name, roots, options, place);
    if (!place.empty()) {
      if (auto set = load_at(place, split, options.read)) return std::move(*set);
    }
  }
  fail_missing(name, split, roots, found, download);
}

ImageSet load(const std::string& name_or_path, const std::string& split,
              const FindOptions& options) {
  names_of_split(split);
  check<ConfigError>(!name_or_path.empty(), "data set: no name given");
  if (is_path(name_or_path)) {
    check<MissingInput>(is_there(name_or_path), "data set '{}': no such file or folder",
                        name_or_path);
    auto set = load_at(name_or_path, split, options.read);
    check<MissingInput>(set.has_value(), "data set '{}': no '{}' that can be read in it; known: {}",
                        name_or_path, split, known_formats());
    return std::move(*set);
  }
  const auto [name, size] = split_size(name_or_path);
  const bool generated = datasets().has(name) && datasets().get(name).generate != nullptr;
  if (generated || size > 0) return generate(name, size, split, options.read);
  return load_named(name, split, options);
}

}  // namespace

std::vector<fs::path> search_roots(const std::vector<std::string>& data_roots) {
  std::vector<fs::path> roots(data_roots.begin(), data_roots.end());
  const char* variable = std::getenv("APPRENTICE_DATA");
  if (variable != nullptr && *variable != '\0') roots.emplace_back(variable);
  roots.emplace_back(".");
  roots.emplace_back("../shared");
  return roots;
}

ImageSet load_dataset(const std::string& name_or_path, const std::string& split,
                      const FindOptions& options) {
  try {
    return load(name_or_path, split, options);
  } catch (const fs::filesystem_error& error) {
    throw IoError(fmt::format("data set '{}': {}", name_or_path, error.what()));
  }
}

std::vector<std::string> datasets_under(const fs::path& root) {
  std::set<std::string> names;
  for (const fs::path& place : entries(root / "data")) {
    const std::string name = place.filename().string();
    if (holds_dataset(place)) names.insert(name.substr(0, name.find('.', 1)));
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> models_under(const fs::path& root) {
  std::set<std::string> names;
  for (const fs::path& path : entries(root / "models")) {
    for (const fs::path& file : fs::is_directory(path) ? entries(path) : std::vector{path}) {
      if (file.extension() == ".safetensors") names.insert(file.stem().string());
    }
  }
  return {names.begin(), names.end()};
}

fs::path find_model(const std::string& name_or_path, const std::vector<std::string>& data_roots) {
  check<ConfigError>(!name_or_path.empty(), "model: no name given");
  if (is_there(name_or_path)) return name_or_path;
  check<MissingInput>(!is_path(name_or_path), "model '{}': no such file or folder", name_or_path);
  const bool full = name_or_path.ends_with(".safetensors");
  const std::string file = full ? name_or_path : name_or_path + ".safetensors";
  std::vector<std::string> sought;
  for (const fs::path& root : search_roots(data_roots)) {
    const fs::path models = root / "models";
    sought.push_back((models / file).string());
    sought.push_back((models / "*" / file).string());
    if (fs::is_regular_file(models / file)) return models / file;
    if (!fs::is_directory(models)) continue;
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(models)) {
      if (entry.is_directory() && fs::is_regular_file(entry.path() / file)) {
        found.push_back(entry.path() / file);
      }
    }
    if (!found.empty()) return *std::min_element(found.begin(), found.end());
  }
  throw MissingInput(fmt::format(
      "model '{}': not found; sought: {}. Put there a safetensors file with torchvision's "
      "key names, or give the path of a file or checkpoint folder",
      name_or_path, join(sought, ", ")));
}

}  // namespace apprentice::data
