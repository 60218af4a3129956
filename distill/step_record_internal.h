#pragma once

#include <string>
#include <vector>

#include <apprentice/distill/method.h>

namespace apprentice::distill {

/// The numbers of one step, as the host reads them.
struct StepValues {
  int64_t step = 0, images = 0;
  double loss = 0, correct = 0;
  std::vector<std::pair<std::string, double>> terms;
};

/// Results of steps that the host has not read yet: they are copied into one tensor beside them, so
/// that a step does not wait for its device, and reading many of them waits once.
class StepRecord {
 public:
  /// May `result` be added before a take()? Not if there are too many, or if its terms are others.
  bool fits(const StepResult& result) const;
  void add(int64_t step, const StepResult& result, int64_t images);
  /// All since the last call, in their order.
  std::vector<StepValues> take();

 private:
  static constexpr int64_t kMost = 256;
  Tensor rows_;  ///< [kMost, 2 + terms]: loss, correct, terms
  std::vector<StepValues> steps_;
};

}  // namespace apprentice::distill
