#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/convert.h>
#include <apprentice/kernels/dense/cuda/on_device_internal.h>
#include <apprentice/kernels/dense/cudnn/conv_engines_internal.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>
#include <apprentice/kernels/dense/vendor/session_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>

namespace apprentice::kernels::dense {
namespace {

/// cuDNN as one thread uses it on one device.
struct Session {
  explicit Session(int device) : gpu(gpu_name(device)) {
    check_cudnn(cudnn().create(&target.handle), "cudnnCreate");
  }
  std::string gpu;
  CudnnTarget target;
  /// By PlanChoice. None is ever ended: a recorded graph may launch it for as long as it lives.
  std::array<std::map<ConvProblem, EnginePlan>, kPlanChoices> plans;
};

/// Runs plans for one problem in memory of the stream's.
class Runner {
 public:
  Runner(const Session& session, const ConvProblem& problem, std::array<const void*, 3> xwy,
         Stream stream)
      : session_(session), problem_(problem), stream_(stream) {
    // cuDNN takes all alike; it writes to what it computes alone.
    for (size_t i = 0; i < xwy.size(); ++i) xwy_[i] = const_cast<void*>(xwy[i]);
  }

  void run(const EnginePlan& plan) const {
    const StreamGuard owner(stream_);
    const MemoryLabel label("cuDNN");
    std::optional<Buffer> workspace;
    if (plan.workspace > 0) workspace.emplace(size_t(plan.workspace), stream_.device);
    void* const scratch = workspace ? workspace->data() : nullptr;
    if (plan.factors == Factors::f32) return execute(plan, session_.target.handle, xwy_, scratch);
    auto xwy = xwy_;
    const auto [first, second] = factors_of(problem_.kind);
    const auto narrow_first = narrowed(first), narrow_second = narrowed(second);
    xwy[first] = narrow_first->data(), xwy[second] = narrow_second->data();
    execute(plan, session_.target.handle, xwy, scratch);
  }
  /// The fastest; nothing if none can run. Those that cannot are added to `refusals`.
  std::optional<size_t> fastest_of(const std::vector<EnginePlan>& plans,
                                   std::vector<Refusal>& refusals) const {
    return fastest_in(stream_, plans.size(), [&](size_t i) {
      try {
        run(plans[i]);
      } catch (const DeviceError& error) {
        refusals.push_back({plans[i].name, error.what()});
        throw;
      }
    });
  }

 private:
  /// A copy of a factor in bf16.
  std::unique_ptr<Buffer> narrowed(size_t which) const {
    const std::array<int64_t, 4>* sizes[] = {&problem_.x, &problem_.w, &problem_.y};
    const auto [a, b, c, d] = *sizes[which];
    const int64_t n = a * b * c * d;
    auto copy = std::make_unique<Buffer>(size_t(n) * sizeof(Bf16), stream_.device);
    launch_own<Convert<float, Bf16>>(
        {{static_cast<const float*>(xwy_[which]), {n}}, {static_cast<Bf16*>(copy->data()), {n}}},
        stream_);
    return copy;
  }

  const Session& session_;
  const ConvProblem& problem_;
  Stream stream_;
  std::array<void*, 3> xwy_{};
};

/// The plan that the cache names; nothing if it names none that can be made.
std::optional<EnginePlan> known_plan(const ConvEngines& engines, const std::string& key,
                                     std::vector<Refusal>& refusals) {
  const auto name = plan_cache().find(key);
  if (!name) return std::nullopt;
  try {
    return engines.plan(*name);
  } catch (const DeviceError& error) {
    // Edited by hand, or of another build of the same version.
    refusals.push_back({*name, error.what()});
    return std::nullopt;
  }
}

EnginePlan choose(const Session& session, const ConvProblem& problem, const Runner& runner,
                  PlanChoice choice, std::vector<Refusal>& refusals) {
  const ConvEngines engines(problem, session.target);
  if (choice == PlanChoice::heuristic) return engines.first(refusals);
  const std::string key =
      fmt::format("{} | cuDNN {} | {}", session.gpu, cudnn().version(), problem.text());
  if (auto plan = known_plan(engines, key, refusals)) return std::move(*plan);
  auto plans = engines.candidates(refusals);
  const auto best = runner.fastest_of(plans, refusals);
  // None ran: the error of the first is told where it is run in earnest.
  EnginePlan& plan = plans[best.value_or(0)];
  if (best) plan_cache().put(key, plan.name);
  return std::move(plan);
}

/// The plan for a problem, made when it is first asked for.
const EnginePlan& plan_of(Session& session, const ConvProblem& problem, const Runner& runner,
                          Stream stream) {
  PlanChoice choice = plan_choice();
  // While a graph is recorded nothing can be timed; what runs outside it still may be.
  if (!session.plans[size_t(choice)].contains(problem) && is_recorded(stream))
    choice = PlanChoice::heuristic;
  auto& plans = session.plans[size_t(choice)];
  if (const auto known = plans.find(problem); known != plans.end()) return known->second;
  std::vector<Refusal> refusals;
  EnginePlan plan = choose(session, problem, runner, choice, refusals);
  if (problem.precision == Precision::bf16 && plan.factors == Factors::f32 && refusals.empty())
    refusals.push_back({"bf16 factors", "slower, or none could run, when they were timed"});
  trace_choice(problem.text(), plan.name, refusals);
  return plans.emplace(problem, std::move(plan)).first->second;
}

}  // namespace

void cudnn_convolve(const ConvProblem& problem, std::array<const void*, 3> xwy, Stream stream) try {
  use_gpu(stream.device.index);
  Session& session = session_of<Session>(stream.device.index);
  check_cudnn(cudnn().set_stream(session.target.handle, static_cast<cudaStream_t>(stream.handle)),
              "cudnnSetStream");
  const Runner runner(session, problem, xwy, stream);
  runner.run(plan_of(session, problem, runner, stream));
} catch (const DeviceError& error) {
  throw DeviceError(
      fmt::format("{}: {} (on {})", problem.text(), error.what(), stream.device.str()));
}

}  // namespace apprentice::kernels::dense
