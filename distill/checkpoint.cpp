#include <apprentice/distill/checkpoint.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include <nlohmann/json.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/base/json_internal.h>
#include <apprentice/distill/hash.h>

namespace apprentice::distill {

namespace fs = std::filesystem;
using nlohmann::json;

namespace {

constexpr const char* kManifest = "manifest.json";
constexpr const char* kOld = ".old";
constexpr const char* kTmp = ".tmp";
constexpr const char* kSchema = "apprentice-checkpoint-1";
constexpr size_t kMaxManifestBytes = size_t(1) << 20;

json to_json(const RunState& state) {
  return {{"step", state.step},
          {"epoch", state.epoch},
          {"cursor", state.cursor},
          {"seed", state.seed},
          {"recipe_hash", state.recipe_hash},
          {"best_top1", state.best_top1},
          {"best_step", state.best_step},
          {"sums", state.sums},
          {"log_bytes", state.log_bytes},
          {"summary_bytes", state.summary_bytes}};
}

RunState state_from(const json& j) {
  RunState state;
  j.at("step").get_to(state.step);
  j.at("epoch").get_to(state.epoch);
  j.at("cursor").get_to(state.cursor);
  j.at("seed").get_to(state.seed);
  j.at("recipe_hash").get_to(state.recipe_hash);
  j.at("best_top1").get_to(state.best_top1);
  j.at("best_step").get_to(state.best_step);
  j.at("sums").get_to(state.sums);
  j.at("log_bytes").get_to(state.log_bytes);
  j.at("summary_bytes").get_to(state.summary_bytes);
  return state;
}

void write_manifest(const std::string& folder, const RunState& state,
                    const std::vector<std::string>& files) {
  json manifest = {{"schema", kSchema}, {"state", to_json(state)}, {"files", json::object()}};
  for (const std::string& name : files) {
    const std::string path = folder + "/" + name;
    manifest["files"][name] = {{"bytes", file_size(path)}, {"xxh3_128", hash_file(path)}};
  }
  write_file_durably(folder + "/" + kManifest, manifest.dump(1) + "\n");
}

void verify_file(const std::string& folder, const std::string& name, const json& entry) {
  const std::string path = folder + "/" + name;
  check<DamagedFile>(fs::path(name).filename() == name, "{}/{}: names '{}', no plain file name",
                     folder, kManifest, name);
  check<DamagedFile>(fs::exists(path),
                     "{}: the checkpoint's manifest names it, but it is not there", path);
  const auto bytes = entry.at("bytes").get<uint64_t>();
  check<DamagedFile>(file_size(path) == bytes, "{}: {} bytes, the checkpoint's manifest says {}",
                     path, file_size(path), bytes);
  const auto expected = entry.at("xxh3_128").get<std::string>();
  const std::string found = hash_file(path);
  check<DamagedFile>(found == expected, "{}: checksum {}, the checkpoint's manifest says {}", path,
                     found, expected);
}

/// N of "step-N"; -1 for any other name.
int64_t step_of(const fs::path& path) {
  const std::string name = path.filename().string();
  if (name.rfind("step-", 0) != 0) return -1;
  int64_t step = -1;
  const auto [end, error] = std::from_chars(name.data() + 5, name.data() + name.size(), step);
  return error == std::errc() && end == name.data() + name.size() ? step : -1;
}

/// What the link points to, if it is there.
std::string target_of(const fs::path& link) {
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) return "";
  const fs::path full = link.parent_path() / target;
  return fs::is_directory(full, error) ? full.string() : "";
}

/// A checkpoint renamed to "step-N.old", so that no half-removed folder bears a checkpoint's name;
/// back in its place at the end unless dropped. recover() finishes what a killed process began.
class SetAside {
 public:
  explicit SetAside(const std::string& path) : path_(path), aside_(path + kOld) {
    std::error_code error;
    if (!fs::exists(path_)) return;
    fs::remove_all(aside_, error);
    fs::rename(path_, aside_, error);
    check<IoError>(!error, "{}: cannot be renamed: {}", path_.string(), error.message());
    held_ = true;
  }
  ~SetAside() {
    std::error_code ignored;
    if (held_) fs::rename(aside_, path_, ignored);
  }
  SetAside(const SetAside&) = delete;
  SetAside& operator=(const SetAside&) = delete;

  void drop() {
    std::error_code error;
    if (std::exchange(held_, false)) fs::remove_all(aside_, error);
    check<IoError>(!error, "{}: cannot be removed: {}", aside_.string(), error.message());
  }

 private:
  fs::path path_, aside_;
  bool held_ = false;
};

}  // namespace

Checkpoints::Checkpoints(std::string folder, int64_t keep)
    : folder_(std::move(folder)), keep_(keep) {}

void Checkpoints::recover() const {
  make_folders(folder_);
  std::vector<fs::path> left;
  for (const auto& entry : fs::directory_iterator(folder_)) left.push_back(entry.path());
  for (const fs::path& path : left) {
    std::error_code error;
    const fs::path name = path.parent_path() / path.stem();
    const bool old = path.extension() == kOld;
    if (step_of(name) < 0 || !(old || path.extension() == kTmp)) continue;
    if (old && !fs::exists(name))
      fs::rename(path, name, error);
    else
      fs::remove_all(path, error);
    check<IoError>(!error, "{}: left by an earlier run, cannot be removed: {}", path.string(),
                   error.message());
  }
}

std::string Checkpoints::save(
    const RunState& state,
    const std::function<std::vector<std::string>(const std::string& folder)>& write_files) {
  const std::string name = fmt::format("step-{}", state.step);
  const std::string path = folder_ + "/" + name;
  {
    // The same step is saved twice by a run that was stopped, or resumed from an older checkpoint.
    SetAside earlier(path);
    DurableFolder folder(path);
    write_manifest(folder.path(), state, write_files(folder.path()));
    verify_checkpoint(folder.path());
    folder.publish();
    earlier.drop();
  }
  // `last` comes last: a run killed in between goes on from before this step, and sets both again.
  if (state.best_step == state.step) point_link(folder_ + "/best", name);
  point_link(folder_ + "/last", name);
  prune();
  return path;
}

void Checkpoints::prune() const {
  const std::vector<std::string> paths = all();
  const std::string keep_last = last(), keep_best = best();
  for (size_t i = size_t(keep_); i < paths.size(); ++i)
    if (paths[i] != keep_last && paths[i] != keep_best) SetAside(paths[i]).drop();
}

std::vector<std::string> Checkpoints::all() const {
  std::vector<std::pair<int64_t, std::string>> found;
  if (!fs::exists(folder_)) return {};
  for (const auto& entry : fs::directory_iterator(folder_))
    if (entry.is_directory() && !entry.is_symlink() && step_of(entry.path()) >= 0)
      found.emplace_back(step_of(entry.path()), entry.path().string());
  std::sort(found.rbegin(), found.rend());
  std::vector<std::string> paths;
  for (auto& [step, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::string Checkpoints::last() const {
  const std::string linked = target_of(folder_ + "/last");
  if (!linked.empty()) return linked;
  const std::vector<std::string> paths = all();
  return paths.empty() ? "" : paths.front();
}

std::string Checkpoints::best() const { return target_of(folder_ + "/best"); }

RunState verify_checkpoint(const std::string& folder) {
  const std::string path = folder + "/" + kManifest;
  const json manifest = parse_json(read_file(path, kMaxManifestBytes), path);
  try {
    check<DamagedFile>(manifest.at("schema") == kSchema, "{}: schema is not '{}'", path, kSchema);
    for (const auto& [name, entry] : manifest.at("files").items()) verify_file(folder, name, entry);
    return state_from(manifest.at("state"));
  } catch (const json::exception& error) {
    throw DamagedFile(fmt::format("{}: {}", path, error.what()));
  }
}

std::string newest_intact(const Checkpoints& checkpoints) {
  std::string first_problem;
  for (const std::string& path : checkpoints.all()) {
    try {
      verify_checkpoint(path);
      return path;
    } catch (const IoError& error) {
      if (first_problem.empty()) first_problem = error.what();
    }
  }
  throw DamagedFile(first_problem.empty() ? checkpoints.folder() + ": holds no checkpoint"
                                          : first_problem);
}

}  // namespace apprentice::distill
