#include <map>
#include <memory>
#include <optional>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/bias_residual_relu.h>
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
  Runner(const Session& session, const ConvProblem& problem, const ConvMemory& memory,
         Stream stream)
      : session_(session), problem_(problem), memory_(memory), stream_(stream) {}

  void run(const EnginePlan& plan) const {
    const StreamGuard owner(stream_);
    const MemoryLabel label("cuDNN");
    std::optional<Buffer> workspace;
    if (plan.workspace > 0) workspace.emplace(size_t(plan.workspace), stream_.device);
    void* const scratch = workspace ? workspace->data() : nullptr;
    ConvAddresses memory = addresses();
    const auto types = planned_types(problem_, plan.factors);
    const size_t result = result_of(problem_.kind);
    std::array<std::unique_ptr<Buffer>, 3> copies;
    for (size_t i = 0; i < copies.size(); ++i) {
      if (types[i] == problem_.types[i]) continue;
      copies[i] = std::make_unique<Buffer>(size_t(numel(i)) * size_of(types[i]), stream_.device);
      if (i != result) convert(memory[i], problem_.types[i], copies[i]->data(), numel(i));
      memory[i] = copies[i]->data();
    }
    execute(plan, session_.target.handle, memory, scratch);
    if (!plan.is_whole()) finish(memory[result], types[result]);
    if (copies[result]) convert(memory[result], types[result], addresses()[result], numel(result));
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
  /// cuDNN takes all alike; it writes to what it computes alone.
  ConvAddresses addresses() const {
    const auto [x, w, y] = memory_.xwy;
    return {const_cast<void*>(x), const_cast<void*>(w), const_cast<void*>(y),
            const_cast<float*>(memory_.bias), const_cast<void*>(memory_.residual)};
  }
  int64_t numel(size_t place) const {
    const auto [a, b, c, d] = place == kX ? problem_.x : place == kW ? problem_.w : problem_.y;
    return a * b * c * d;
  }
  /// `from`, of such a type, as the other of f32 and bf16.
  void convert(const void* from, Dtype type, void* to, int64_t n) const {
    if (type == Dtype::f32)
      launch_own<Convert<float, Bf16>>(
          {{static_cast<const float*>(from), {n}}, {static_cast<Bf16*>(to), {n}}}, stream_);
    else
      launch_own<Convert<Bf16, float>>(
          {{static_cast<const Bf16*>(from), {n}}, {static_cast<float*>(to), {n}}}, stream_);
  }
  /// What follows the sums of a forward, on them, which are stored as `type`.
  void finish(void* sums, Dtype type) const {
    if (!memory_.bias && !memory_.residual && !memory_.relu) return;
    std::optional<Buffer> copy;
    const void* residual = memory_.residual;
    if (residual && problem_.types[kY] != type) {
      copy.emplace(size_t(numel(kY)) * size_of(type), stream_.device);
      convert(residual, problem_.types[kY], copy->data(), numel(kY));
      residual = copy->data();
    }
    const auto run = [&]<class Y>() {
      const int64_t out = problem_.y[3];
      const std::array<int64_t, 2> sizes{numel(kY) / out, out};
      launch_own<BiasResidualRelu<float, Y>>({{static_cast<Y*>(sums), sizes},
                                              {memory_.bias, {out}},
                                              {static_cast<const Y*>(residual), sizes},
                                              memory_.relu},
                                             stream_);
    };
    type == Dtype::bf16 ? run.template operator()<Bf16>() : run.template operator()<float>();
  }

  const Session& session_;
  const ConvProblem& problem_;
  const ConvMemory& memory_;
  Stream stream_;
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

void cudnn_convolve(const ConvProblem& problem, const ConvMemory& memory, Stream stream) try {
  use_gpu(stream.device.index);
  Session& session = session_of<Session>(stream.device.index);
  check_cudnn(cudnn().set_stream(session.target.handle, static_cast<cudaStream_t>(stream.handle)),
              "cudnnSetStream");
  const Runner runner(session, problem, memory, stream);
  runner.run(plan_of(session, problem, runner, stream));
} catch (const DeviceError& error) {
  throw DeviceError(
      fmt::format("{}: {} (on {})", problem.text(), error.what(), stream.device.str()));
}

}  // namespace apprentice::kernels::dense
