#pragma once

#include <string>
#include <vector>

#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels::dense {

/// Every way in which cuDNN may compute a problem in the precision that it allows. Where that is
/// bf16, TF32 is allowed too: some problems need it, as bf16 engines take certain shapes only, and
/// some are faster by it. What follows the sums of a forward an engine may do itself or leave to
/// us: those that do it are compiled for the device when they are planned, which may fail.
class ConvEngines {
 public:
  ConvEngines(const ConvProblem& problem, const CudnnTarget& target);

  /// The one that cuDNN's heuristics put first, of bf16 factors if there is one and they are
  /// allowed. DeviceError with cuDNN's reason if there is none. Proposals that were passed over,
  /// and why there are none of bf16 factors, are added to `refusals`.
  EnginePlan first(std::vector<Refusal>& refusals) const;
  /// The few that are worth timing, at least one; the rest likewise.
  std::vector<EnginePlan> candidates(std::vector<Refusal>& refusals) const;
  /// The one of that name. DeviceError if it cannot be.
  EnginePlan plan(const std::string& name) const;

 private:
  std::vector<EnginePlan> first_plans(size_t most_narrow, size_t most,
                                      std::vector<Refusal>& refusals) const;

  ConvGraph plain_;
  std::vector<ConvGraph> narrow_;  ///< of bf16 factors, the most promising first
  std::string narrow_problem_;     ///< why bf16 is allowed and cannot be, or ""
};

}  // namespace apprentice::kernels::dense
