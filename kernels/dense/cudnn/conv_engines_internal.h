#pragma once

#include <optional>
#include <string>
#include <vector>

#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>

namespace apprentice::kernels::dense {

/// Every way in which cuDNN may compute a problem in the precision that it allows. Where that is
/// bf16, TF32 is allowed too: some problems need it, as bf16 engines take certain shapes only, and
/// some are faster by it, as nothing is converted.
class ConvEngines {
 public:
  ConvEngines(const ConvProblem& problem, const CudnnTarget& target);

  /// The one that cuDNN's heuristics put first, of bf16 factors if there is one and they are
  /// allowed. DeviceError with cuDNN's reason if there is none.
  EnginePlan first() const;
  /// The few that are worth timing, at least one. DeviceError likewise.
  std::vector<EnginePlan> candidates() const;
  /// The one of that name. DeviceError if it cannot be.
  EnginePlan plan(const std::string& name) const;

 private:
  std::vector<EnginePlan> first_plans(size_t most_narrow, size_t most) const;

  ConvGraph plain_;
  std::optional<ConvGraph> narrow_;
};

}  // namespace apprentice::kernels::dense
