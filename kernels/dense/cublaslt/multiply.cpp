#include <array>
#include <map>
#include <optional>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/kernels/dense/cublaslt/product_internal.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <apprentice/kernels/dense/vendor/gpu_internal.h>
#include <apprentice/kernels/dense/vendor/session_internal.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::kernels::dense {
namespace {

/// How many of the heuristics' proposals are timed.
constexpr int kTimed = 8;

struct Plan {
  Product product;
  GemmAlgorithm algorithm;
};

/// cuBLASLt as one thread uses it on one device.
struct Session {
  explicit Session(int device) : gpu(gpu_name(device)) {
    check_cublas(cublaslt().create(&handle), "cublasLtCreate");
  }
  std::string gpu;
  cublasLtHandle_t handle = nullptr;
  std::array<std::map<GemmProblem, Plan>, kPlanChoices> plans;  ///< by PlanChoice
};

void run(const Session& session, Product& product, const GemmAlgorithm& algorithm,
         const GemmMemory& memory, Stream stream) {
  const StreamGuard owner(stream);
  const MemoryLabel label("cuBLASLt");
  std::optional<Buffer> workspace;
  if (algorithm.workspace > 0) workspace.emplace(algorithm.workspace, stream.device);
  product.run(session.handle, algorithm, memory, workspace ? workspace->data() : nullptr, stream);
}

/// The fastest of the proposals; nothing if none can run.
std::optional<size_t> time_proposals(const Session& session, Product& product,
                                     const std::vector<GemmAlgorithm>& proposals,
                                     const GemmProblem& problem, GemmMemory memory, Stream stream) {
  // A product that adds to its output must do so once.
  std::optional<Buffer> elsewhere;
  if (problem.accumulate) {
    const StreamGuard owner(stream);
    elsewhere.emplace(size_t(problem.m * problem.n) * sizeof(float), stream.device);
    memory.c = elsewhere->data();
  }
  return fastest_in(stream, proposals.size(),
                    [&](size_t i) { run(session, product, proposals[i], memory, stream); });
}

GemmAlgorithm choose(const Session& session, Product& product, const GemmProblem& problem,
                     const GemmMemory& memory, Stream stream, PlanChoice choice) {
  if (choice == PlanChoice::heuristic) return product.propose(session.handle, 1).front();
  const std::string key =
      fmt::format("{} | cuBLASLt {} | {}", session.gpu, cublaslt().version(), problem.text());
  if (const auto known = plan_cache().find(key)) {
    try {
      return product.restore(session.handle, *known);
    } catch (const DeviceError&) {
      // Edited by hand, or of another build of the same version: chosen anew.
    }
  }
  const auto proposals = product.propose(session.handle, kTimed);
  const auto best = time_proposals(session, product, proposals, problem, memory, stream);
  // None ran: the error of the first is told where it is run in earnest.
  const GemmAlgorithm& chosen = proposals[best.value_or(0)];
  if (best) plan_cache().put(key, text_of(chosen.algorithm));
  return chosen;
}

/// The plan for a problem, made when it is first asked for.
Plan& plan_of(Session& session, const GemmProblem& problem, const GemmMemory& memory,
              Stream stream) {
  PlanChoice choice = plan_choice();
  // While a graph is recorded nothing can be timed; what runs outside it still may be.
  if (!session.plans[size_t(choice)].contains(problem) && is_recorded(stream))
    choice = PlanChoice::heuristic;
  auto& plans = session.plans[size_t(choice)];
  if (const auto known = plans.find(problem); known != plans.end()) return known->second;
  Product product(problem);
  const GemmAlgorithm algorithm = choose(session, product, problem, memory, stream, choice);
  trace_choice(problem.text(), "cuBLASLt " + text_of(algorithm.algorithm), {});
  return plans.emplace(problem, Plan{std::move(product), algorithm}).first->second;
}

}  // namespace

void cublaslt_multiply(const GemmProblem& problem, const GemmMemory& memory, Stream stream) try {
  use_gpu(stream.device.index);
  Session& session = session_of<Session>(stream.device.index);
  Plan& plan = plan_of(session, problem, memory, stream);
  run(session, plan.product, plan.algorithm, memory, stream);
} catch (const DeviceError& error) {
  throw DeviceError(
      fmt::format("{}: {} (on {})", problem.text(), error.what(), stream.device.str()));
}

}  // namespace apprentice::kernels::dense
