#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace apprentice::distill {

/// What a run needs, beside its tensors, to go on as if it had never ended. Random numbers are
/// counter-based, keyed by seed, epoch and sample, so the cursor below is their whole state.
struct RunState {
  int64_t step = 0;    ///< optimizer steps done
  int64_t epoch = 0;   ///< the current one, from 0
  int64_t cursor = 0;  ///< batches of it done
  int64_t seed = 0;
  std::string recipe_hash;
  double best_top1 = -1;  ///< percent; -1 before the first evaluation
  int64_t best_step = -1;
  std::map<std::string, double> sums;  ///< running sums of the log line and the epoch
  uint64_t log_bytes = 0;              ///< length of log.jsonl and summary.csv at this moment
  uint64_t summary_bytes = 0;
};

/// The files of a checkpoint folder:
///   model.safetensors        the student, as every verb takes it
///   <name>.safetensors       any further trained network
///   optimizer.safetensors    state of the optimizers, "<network>.<state name>"
///   manifest.json            RunState, and XXH3-128 and size in bytes of each other file
class Checkpoints {
 public:
  /// The folder `<run>/checkpoints` with its links `last` and `best`; only looked at so far.
  explicit Checkpoints(std::string folder, int64_t keep = 2);

  /// Before the first save, by the one process that has the run: makes the folder if it is absent,
  /// and finishes or removes what a killed run left half done. CannotCreate or IoError.
  void recover() const;

  /// Writes `step-N`: aside, each file and folder fsynced, renamed, read back and verified; then
  /// points `best` (if this step is state.best_step) and then `last` to it, and removes all but the
  /// newest `keep` and the best. `write_files` fills the folder it is given and names its files.
  /// IoError while it is written (disk full) leaves what was there before, links included. Returns
  /// the path.
  std::string save(
      const RunState& state,
      const std::function<std::vector<std::string>(const std::string& folder)>& write_files);

  /// Paths of all checkpoints, the newest first.
  std::vector<std::string> all() const;
  /// Target of the link `last`; where it is missing, the newest; "" if there is none.
  std::string last() const;
  /// Target of the link `best`, or "".
  std::string best() const;
  const std::string& folder() const { return folder_; }

 private:
  void prune() const;

  std::string folder_;
  int64_t keep_;
};

/// Reads the manifest and compares size and checksum of every file it names. MissingInput without
/// the folder or manifest; DamagedFile naming the file, and what was found and expected.
RunState verify_checkpoint(const std::string& folder);
/// The newest of `checkpoints` that verifies, for a run told to fall back; the DamagedFile of the
/// newest if none does.
std::string newest_intact(const Checkpoints& checkpoints);

}  // namespace apprentice::distill
