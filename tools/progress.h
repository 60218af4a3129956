#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace apprentice::tools {

/// Progress on stderr: a bar with rate and time left on a terminal, else a plain line now and then.
class ProgressPrinter {
 public:
  struct State {
    std::string what;  ///< "train epoch 1/3 step"
    int64_t done = 0, total = 0;
    double images_per_s = 0, seconds_left = 0;
    std::string detail;  ///< "loss 0.41"
  };

  ProgressPrinter();
  ~ProgressPrinter();
  void update(const State& state);
  /// One line of its own, above the bar.
  void note(const std::string& line);
  /// Ends the bar, so that the next line starts at the left.
  void finish();

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_;
  bool open_ = false;
  std::string what_;
  Clock::time_point last_;
};

}  // namespace apprentice::tools
