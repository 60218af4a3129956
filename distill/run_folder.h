#pragma once

#include <cstdio>
#include <string>

#include <apprentice/distill/checkpoint.h>
#include <apprentice/distill/event.h>
#include <apprentice/distill/recipe.h>

namespace apprentice::distill {

/// A file that only grows, and that one process at a time writes. A line is on its way to the disk
/// when write() returns.
class AppendFile {
 public:
  AppendFile() = default;
  /// Opens or makes it, and locks it. CannotCreate (also while another process has it), naming the
  /// path.
  explicit AppendFile(std::string path);
  ~AppendFile();
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&& other) noexcept;

  /// Cuts it to `bytes`; a shorter file is left as it is, but for a torn last line. IoError.
  void cut(uint64_t bytes);
  /// Adds text and a newline; IoError if the disk is full.
  void write(const std::string& line);
  uint64_t bytes() const { return bytes_; }

 private:
  std::string path_;
  int file_ = -1;
  uint64_t bytes_ = 0;
};

/// The folder of a run: recipe.toml, log.jsonl, summary.csv, checkpoints/. One process at a time
/// has it: the logs are locked.
class RunFolder {
 public:
  /// CannotCreate if the path is taken: anything but an empty folder stands there.
  static void check_new(const std::string& path);
  /// A new run. CannotCreate if the folder exists and is not empty, cannot be made, or is in use.
  static RunFolder create(const std::string& path, const Recipe& recipe, int64_t keep_checkpoints);
  /// A run to go on with: what a killed process left half done among its checkpoints is finished or
  /// removed. MissingInput without its recipe.toml, CannotCreate if it is in use.
  static RunFolder reopen(const std::string& path, int64_t keep_checkpoints);
  /// Cuts the logs to what they were at the checkpoint, so that no line stands twice.
  void cut_logs(const RunState& state);

  const std::string& path() const { return path_; }
  Checkpoints& checkpoints() { return checkpoints_; }

  /// One line of JSON: ts (seconds since 1970), step, epoch, rank, event, then the fields. Floats
  /// read back to the same value; one that is not finite is written as a string.
  void log(const Event& event);
  /// One row of summary.csv; the first call of a new file writes the header.
  void summary(const std::string& header, const std::string& row);
  /// Puts the lengths of both logs into `state`.
  void note_lengths(RunState& state) const;

 private:
  RunFolder(std::string path, int64_t keep);

  std::string path_;
  AppendFile log_, summary_;
  Checkpoints checkpoints_;
};

/// The line that RunFolder::log() writes.
std::string json_line(const Event& event, double seconds);

}  // namespace apprentice::distill
