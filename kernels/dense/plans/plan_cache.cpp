#include <apprentice/kernels/dense/plans/plan_cache.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>

namespace apprentice::kernels::dense {
namespace {

constexpr const char* kFormat = "apprentice dense plans";
constexpr int kVersion = 1;
/// No network has so many shapes.
constexpr size_t kMaxBytes = size_t(16) << 20;

/// An absolute path of the environment, or "".
std::string folder_of(const char* variable, const char* below) {
  const char* value = std::getenv(variable);
  if (!value || value[0] != '/') return "";
  return std::string(value) + below;
}

}  // namespace

PlanCache::PlanCache(std::string path, Warn warn) : path_(std::move(path)), warn_(std::move(warn)) {
  if (!warn_)
    warn_ = [](const std::string& text) { std::fprintf(stderr, "warning: %s\n", text.c_str()); };
}

void PlanCache::warn_once(const std::string& text) {
  if (!warned_) warn_(text);
  warned_ = true;
}

/// What the file holds; nothing where there is none or it is of no use.
std::optional<PlanCache::Plans> PlanCache::read() {
  std::string text;
  try {
    text = read_file(path_, kMaxBytes);
  } catch (const MissingInput&) {
    return std::nullopt;
  } catch (const IoError& error) {
    warn_once(fmt::format("plan cache {}: {}", path_, error.what()));
    return std::nullopt;
  }
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto has = [&](const char* key, const auto& value) {
    return json.is_object() && json.contains(key) && json[key] == value;
  };
  if (!has("format", kFormat) || !has("version", kVersion) || !json.contains("plans") ||
      !json["plans"].is_object()) {
    warn_once(fmt::format("plan cache {}: damaged or of another version, starting afresh", path_));
    return std::nullopt;
  }
  Plans plans;
  for (const auto& [key, value] : json["plans"].items()) {
    if (!value.is_string()) {
      warn_once(fmt::format("plan cache {}: damaged, starting afresh", path_));
      return std::nullopt;
    }
    plans[key] = value.get<std::string>();
  }
  return plans;
}

void PlanCache::load() {
  if (loaded_) return;
  loaded_ = true;
  if (path_.empty()) return;
  if (auto plans = read()) plans_ = std::move(*plans);
}

void PlanCache::save() {
  if (path_.empty() || !writable_) return;
  try {
    make_folders(std::filesystem::path(path_).parent_path().string());
    // What other processes have added since; our own choices stand.
    if (auto plans = read()) plans_.merge(*plans);
    const nlohmann::json json{{"format", kFormat}, {"version", kVersion}, {"plans", plans_}};
    write_file_durably(path_, json.dump(1) + "\n");
  } catch (const IoError& error) {
    writable_ = false;
    warn_once(fmt::format("plan cache {}: not saved: {}", path_, error.what()));
  }
}

std::optional<std::string> PlanCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  load();
  const auto found = plans_.find(key);
  if (found == plans_.end()) return std::nullopt;
  return found->second;
}

void PlanCache::put(const std::string& key, const std::string& value) {
  const std::lock_guard lock(mutex_);
  load();
  const auto [at, added] = plans_.try_emplace(key, value);
  if (!added && at->second == value) return;
  at->second = value;
  save();
}

std::string default_plan_path() {
  std::string folder;
  if (std::getenv("APPRENTICE_CACHE")) {
    folder = folder_of("APPRENTICE_CACHE", "");
  } else {
    folder = folder_of("XDG_CACHE_HOME", "/apprentice");
    if (folder.empty()) folder = folder_of("HOME", "/.cache/apprentice");
  }
  return folder.empty() ? "" : folder + "/dense_plans.json";
}

PlanCache& plan_cache() {
  static PlanCache cache(default_plan_path());
  return cache;
}

PlanChoice& plan_choice() {
  static PlanChoice choice = PlanChoice::timed;
  return choice;
}

}  // namespace apprentice::kernels::dense
