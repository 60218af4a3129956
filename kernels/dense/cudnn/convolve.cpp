#include <map>
#include <memory>
#include <optional>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/dense/cudnn/conv_engines_internal.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <apprentice/kernels/dense/plans/timed_choice_internal.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>
#include <apprentice/kernels/dense/vendor/session_internal.h>
#include <apprentice/kernels/dense/vendor_internal.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/round_to_bf16.h>

namespace apprentice::kernels::dense {
namespace {

/// cuDNN as one thread uses it on one device.
struct Session {
  explicit Session(int device) : gpu(gpu_name(device)) {
    check_cudnn(cudnn().create(&target.handle), "cudnnCreate");
  }
  std::string gpu;
  CudnnTarget target;
  std::array<std::map<ConvProblem, EnginePlan>, kPlanChoices> plans;  ///< by PlanChoice
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
  /// kNever if it cannot run, be it for memory.
  double milliseconds(const EnginePlan& plan) const {
    try {
      return milliseconds_of(stream_, [&] { run(plan); });
    } catch (const DeviceError&) {
      return kNever;
    }
  }

 private:
  /// A copy of a factor in bf16.
  std::unique_ptr<Buffer> narrowed(size_t which) const {
    const std::array<int64_t, 4>* sizes[] = {&problem_.x, &problem_.w, &problem_.y};
    const auto [a, b, c, d] = *sizes[which];
    const int64_t n = a * b * c * d;
    auto copy = std::make_unique<Buffer>(size_t(n) * sizeof(uint16_t), stream_.device);
    const RoundToBf16::Args args{{static_cast<const float*>(xwy_[which]), {n}},
                                 {static_cast<uint16_t*>(copy->data()), {n}}};
    kernel_table<RoundToBf16>().select(args, {}, stream_.device.kind).run(args, stream_);
    return copy;
  }

  const Session& session_;
  const ConvProblem& problem_;
  Stream stream_;
  std::array<void*, 3> xwy_{};
};

/// The plan that the cache names; nothing if it names none that can be made.
std::optional<EnginePlan> known_plan(const ConvEngines& engines, const std::string& key) {
  const auto name = plan_cache().find(key);
  if (!name) return std::nullopt;
  try {
    return engines.plan(*name);
  } catch (const DeviceError&) {
    return std::nullopt;  // edited by hand, or of another build of the same version
  }
}

EnginePlan choose(const Session& session, const ConvProblem& problem, const Runner& runner,
                  bool timed) {
  const ConvEngines engines(problem, session.target);
  if (!timed) return engines.first();
  const std::string key =
      fmt::format("{} | cuDNN {} | {}", session.gpu, cudnn().version(), problem.text());
  if (auto plan = known_plan(engines, key)) return std::move(*plan);
  auto plans = engines.candidates();
  const auto best = fastest(plans.size(), [&](size_t i) { return runner.milliseconds(plans[i]); });
  // None ran: the error of the first is told where it is run in earnest.
  EnginePlan& plan = plans[best.value_or(0)];
  if (best) plan_cache().put(key, plan.name);
  return std::move(plan);
}

}  // namespace

void cudnn_convolve(const ConvProblem& problem, std::array<const void*, 3> xwy, Stream stream) try {
  use_gpu(stream.device.index);
  Session& session = session_of<Session>(stream.device.index);
  check_cudnn(cudnn().set_stream(session.target.handle, static_cast<cudaStream_t>(stream.handle)),
              "cudnnSetStream");
  const Runner runner(session, problem, xwy, stream);
  auto& plans = session.plans[size_t(plan_choice())];
  auto known = plans.find(problem);
  if (known == plans.end()) {
    const bool recorded = is_recorded(stream);
    const bool timed = plan_choice() == PlanChoice::timed && !recorded;
    EnginePlan plan = choose(session, problem, runner, timed);
    trace_choice(problem.text(), plan.name, {});
    // While a graph is recorded nothing can be timed; what runs outside it still may be.
    if (recorded && plan_choice() == PlanChoice::timed) return runner.run(plan);
    known = plans.emplace(problem, std::move(plan)).first;
  }
  runner.run(known->second);
} catch (const DeviceError& error) {
  throw DeviceError(
      fmt::format("{}: {} (on {})", problem.text(), error.what(), stream.device.str()));
}

}  // namespace apprentice::kernels::dense
