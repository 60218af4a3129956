#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/conv_engines_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// How many proposals are worth timing, and the most memory that one may ask for. Those for bf16
/// factors are compiled when they are planned, which takes longest.
constexpr size_t kTimed = 8, kTimedBf16 = 3;
constexpr int64_t kMostWorkspace = int64_t(2) << 30;

/// Adds the plans of cuDNN's first proposals that can be made, at most `most`, and to `refusals`
/// why others cannot.
void add_plans(const ConvGraph& graph, size_t most, std::vector<EnginePlan>& plans,
               std::vector<Refusal>& refusals) {
  const size_t end = plans.size() + most;
  for (const std::string& name : graph.engines()) {
    if (plans.size() == end) break;
    try {
      EnginePlan plan = graph.plan(name);
      check<DeviceError>(plan.workspace <= kMostWorkspace,
                         "it needs {} bytes of workspace, more than {}", plan.workspace,
                         kMostWorkspace);
      plans.push_back(std::move(plan));
    } catch (const DeviceError& error) {
      refusals.push_back({name, error.what()});
    }
  }
}

}  // namespace

ConvEngines::ConvEngines(const ConvProblem& problem, const CudnnTarget& target)
    : plain_(problem, target) {
  if (problem.precision != Precision::bf16) return;
  try {
    narrow_.emplace_back(problem, target, Factors::bf16);
    if (problem.has_epilogue()) narrow_.emplace_back(problem, target, Factors::bf16_sums);
  } catch (const DeviceError& error) {
    narrow_problem_ = error.what();  // a shape that cuDNN does not take in bf16
  }
}

std::vector<EnginePlan> ConvEngines::first_plans(size_t most_narrow, size_t most,
                                                 std::vector<Refusal>& refusals) const {
  std::vector<EnginePlan> plans;
  const size_t refused_before = refusals.size();
  for (const ConvGraph& graph : narrow_) {
    add_plans(graph, most_narrow, plans, refusals);
    if (!plans.empty() && most == 0) return plans;
  }
  if (!narrow_problem_.empty()) refusals.push_back({"bf16 factors", narrow_problem_});
  if (!narrow_.empty() && plans.empty() && refusals.size() == refused_before)
    refusals.push_back({"bf16 factors", "cuDNN proposes no engine that may be used"});
  add_plans(plain_, most == 0 ? 1 : most, plans, refusals);
  const bool told = refusals.size() > refused_before;
  check<DeviceError>(!plans.empty(), "cuDNN has no algorithm{}{}", told ? ": " : "",
                     told ? refusals.back().reason : "");
  return plans;
}

EnginePlan ConvEngines::first(std::vector<Refusal>& refusals) const {
  return std::move(first_plans(1, 0, refusals).front());
}

std::vector<EnginePlan> ConvEngines::candidates(std::vector<Refusal>& refusals) const {
  return first_plans(kTimedBf16, kTimed, refusals);
}

EnginePlan ConvEngines::plan(const std::string& name) const {
  for (const ConvGraph& graph : narrow_)
    if (name.starts_with(prefix_of(graph.factors()))) return graph.plan(name);
  return plain_.plan(name);
}

}  // namespace apprentice::kernels::dense
