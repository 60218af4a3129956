#include <map>
#include <optional>

#include <apprentice/base/buffer.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/dense/cudnn/conv_graph_internal.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <apprentice/kernels/dense/plans/timed_choice_internal.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>
#include <apprentice/kernels/dense/vendor/session_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// How many of cuDNN's proposals are timed, and the most memory that one may ask for.
constexpr size_t kTimed = 8;
constexpr int64_t kMostWorkspace = int64_t(2) << 30;

/// cuDNN as one thread uses it on one device.
struct Session {
  explicit Session(int device) : gpu(gpu_name(device)) {
    check_cudnn(cudnn().create(&target.handle), "cudnnCreate");
  }
  std::string gpu;
  CudnnTarget target;
  std::map<ConvProblem, EnginePlan> plans;
};

/// Runs a plan in memory of the stream's.
class Runner {
 public:
  Runner(const Session& session, std::array<const void*, 3> xwy, Stream stream)
      : session_(session), stream_(stream) {
    // cuDNN takes all alike; it writes to what it computes alone.
    for (size_t i = 0; i < xwy.size(); ++i) xwy_[i] = const_cast<void*>(xwy[i]);
  }

  void run(const EnginePlan& plan) const {
    const StreamGuard owner(stream_);
    std::optional<Buffer> workspace;
    if (plan.workspace > 0) workspace.emplace(size_t(plan.workspace), stream_.device);
    execute(plan, session_.target.handle, xwy_, workspace ? workspace->data() : nullptr);
  }
  /// kNever if it cannot run, be it for memory.
  double milliseconds(const EnginePlan& plan) const {
    try {
      return milliseconds_of(stream_, [&] { run(plan); });
    } catch (const DeviceError&) {
      return kNever;
    }
  }

 private:
  const Session& session_;
  Stream stream_;
  std::array<void*, 3> xwy_{};
};

/// The plans of cuDNN's first proposals that can be made, at most `most`.
std::vector<std::pair<std::string, EnginePlan>> first_plans(const ConvGraph& graph, size_t most) {
  std::vector<std::pair<std::string, EnginePlan>> plans;
  std::string reason = "it proposes no engine";
  for (const std::string& name : graph.engines()) {
    if (plans.size() == most) break;
    try {
      EnginePlan plan = graph.plan(name);
      if (plan.workspace <= kMostWorkspace) plans.emplace_back(name, std::move(plan));
    } catch (const DeviceError& error) {
      reason = error.what();
    }
  }
  check<DeviceError>(!plans.empty(), "cuDNN has no algorithm: {}", reason);
  return plans;
}

/// The plan that the cache names; nothing if it names none that can be made.
std::optional<EnginePlan> known_plan(const ConvGraph& graph, const std::string& key) {
  const auto name = plan_cache().find(key);
  if (!name) return std::nullopt;
  try {
    return graph.plan(*name);
  } catch (const DeviceError&) {
    return std::nullopt;  // edited by hand, or of another build of the same version
  }
}

EnginePlan choose(const Session& session, const ConvProblem& problem, const Runner& runner,
                  bool timed) {
  const ConvGraph graph(problem, session.target);
  if (!timed) return std::move(first_plans(graph, 1).front().second);
  const std::string key =
      fmt::format("{} | cuDNN {} | {}", session.gpu, cudnn().version(), problem.text());
  if (auto plan = known_plan(graph, key)) return std::move(*plan);
  auto plans = first_plans(graph, kTimed);
  const auto best =
      fastest(plans.size(), [&](size_t i) { return runner.milliseconds(plans[i].second); });
  // None ran: the error of the first is told where it is run in earnest.
  auto& [name, plan] = plans[best.value_or(0)];
  if (best) plan_cache().put(key, name);
  return std::move(plan);
}

}  // namespace

void cudnn_convolve(const ConvProblem& problem, std::array<const void*, 3> xwy, Stream stream) try {
  use_gpu(stream.device.index);
  Session& session = session_of<Session>(stream.device.index);
  check_cudnn(cudnn().set_stream(session.target.handle, static_cast<cudaStream_t>(stream.handle)),
              "cudnnSetStream");
  const Runner runner(session, xwy, stream);
  auto known = session.plans.find(problem);
  if (known == session.plans.end()) {
    const bool recorded = is_recorded(stream);
    const bool timed = plan_choice() == PlanChoice::timed && !recorded;
    EnginePlan plan = choose(session, problem, runner, timed);
    // While a graph is recorded nothing can be timed; what runs outside it still may be.
    if (recorded && plan_choice() == PlanChoice::timed) return runner.run(plan);
    known = session.plans.emplace(problem, std::move(plan)).first;
  }
  runner.run(known->second);
} catch (const DeviceError& error) {
  throw DeviceError(
      fmt::format("{}: {} (on {})", problem.text(), error.what(), stream.device.str()));
}

}  // namespace apprentice::kernels::dense
