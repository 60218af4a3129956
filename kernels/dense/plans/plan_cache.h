#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace apprentice::kernels::dense {

/// Which algorithm was chosen for which problem, kept in a JSON file, so that a choice by timing is
/// made once a machine. Keys name all that the choice depends on; what values mean is the
/// caller's. Several processes may use one file: each adds to what it finds there, and a file is
/// always whole (written aside and renamed). Thread-safe.
///
/// A file that is damaged, of another version or of something else is replaced, after one warning.
/// Where the file cannot be written the cache works in memory, after one warning.
class PlanCache {
 public:
  using Warn = std::function<void(const std::string&)>;

  /// The file at `path` is read when it is first asked; "" keeps everything in memory. Warnings go
  /// to stderr unless `warn` is given.
  explicit PlanCache(std::string path, Warn warn = nullptr);

  std::optional<std::string> find(const std::string& key);
  /// Adds or replaces, and saves.
  void put(const std::string& key, const std::string& value);
  const std::string& path() const { return path_; }

 private:
  using Plans = std::map<std::string, std::string>;
  std::optional<Plans> read();
  void load();
  void save();
  void warn_once(const std::string& text);

  std::mutex mutex_;
  std::string path_;
  Warn warn_;
  Plans plans_;
  bool loaded_ = false, warned_ = false, writable_ = true;
};

/// dense_plans.json in the folder that the environment variable APPRENTICE_CACHE names, else in
/// $XDG_CACHE_HOME/apprentice, else in $HOME/.cache/apprentice. "", nothing is kept on disk, where
/// APPRENTICE_CACHE is empty or none of them is an absolute path.
std::string default_plan_path();

/// The cache of this process, at default_plan_path() as it was when first asked.
PlanCache& plan_cache();

/// Whether the fastest of a few algorithms is sought by timing them, once for each problem and kept
/// in plan_cache(), or the library's first choice is taken, which follows from the device, the
/// library's version and the problem alone. A problem that a thread first meets while it records a
/// graph gets the latter in recordings, until it is met and timed outside one.
enum class PlanChoice { timed, heuristic };
inline constexpr size_t kPlanChoices = 2;
/// That of the process; `timed` at first. Bit-equal repeats on other machines need `heuristic`.
PlanChoice& plan_choice();

}  // namespace apprentice::kernels::dense
