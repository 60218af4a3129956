#pragma once

#include <functional>
#include <string>

#include <apprentice/base/error.h>

namespace apprentice::distill {

/// A run ended at a step boundary because it was asked to, with its checkpoint saved.
class Stopped : public Error {
 public:
  Stopped(const std::string& reason, std::string checkpoint)
      : Error(reason + "; state saved in " + checkpoint), checkpoint_(std::move(checkpoint)) {}
  const std::string& checkpoint() const { return checkpoint_; }

 private:
  std::string checkpoint_;
};

/// While one is alive, SIGTERM, SIGINT, SIGUSR1 and SIGUSR2 only set a flag that the trainer reads
/// between steps. A second SIGINT ends the process at once. One at a time; handlers are put back.
class StopOnSignal {
 public:
  StopOnSignal();
  ~StopOnSignal();
  StopOnSignal(const StopOnSignal&) = delete;
  StopOnSignal& operator=(const StopOnSignal&) = delete;

  /// "SIGTERM" or the like once one has come, else "".
  static std::string requested();
};

/// Asked between steps: "" to go on, else why to stop. StopOnSignal::requested is one.
using StopRequest = std::function<std::string()>;

}  // namespace apprentice::distill
