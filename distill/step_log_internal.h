#pragma once

#include <chrono>
#include <map>
#include <string>

#include <apprentice/distill/event.h>
#include <apprentice/distill/step_record_internal.h>

namespace apprentice::distill {

/// Running sums of losses and hits since the last "train" line and since the epoch began. They are
/// part of a checkpoint, so that the lines of a resumed run are those of one never interrupted.
class StepLog {
 public:
  void add(const StepValues& values);
  /// The "train" event of the steps since the last one: means of the loss and of each term, top-1
  /// in percent, learning rate and rate; then starts anew. Empty kind if there was no step.
  Event take(int64_t step, int64_t epoch, double lr);
  /// Mean loss and top-1 of the epoch so far.
  double epoch_loss() const;
  double epoch_top1() const;
  void start_epoch();

  const std::map<std::string, double>& sums() const { return sums_; }
  void load(const std::map<std::string, double>& sums) { sums_ = sums; }
  /// The clock of the rate starts anew: what was between is no training.
  void restart_clock();

 private:
  double sum(const std::string& name) const;

  std::map<std::string, double> sums_;
  int64_t timed_images_ = 0;
  std::chrono::steady_clock::time_point since_ = std::chrono::steady_clock::now();
};

/// Images a second over the last steps: an average that forgets with a half-life of about 7 steps.
class Rate {
 public:
  /// So many images since the last call; 0: what was since then is no training and does not count.
  void add(int64_t images);
  double images_per_s() const { return seconds_per_image_ > 0 ? 1 / seconds_per_image_ : 0; }

 private:
  std::chrono::steady_clock::time_point last_;
  bool running_ = false;
  double seconds_per_image_ = 0;
};

}  // namespace apprentice::distill
