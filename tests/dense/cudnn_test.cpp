// cuDNN's heuristics and plans for a GPU that is only described, which it computes on any machine
// that has the library.
#include <fmt/core.h>

#include <catch2/catch.hpp>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/kernels/dense/cudnn/conv_engines_internal.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::kernels;
using namespace apprentice::kernels::dense;
using test::throws;

namespace {

/// An H200, as CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION gives one.
constexpr const char* kH200 = R"({
  "deviceVer": 900, "driverVer": 13000, "cudaDeviceId": 0, "deviceName": "NVIDIA H200",
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64],
  "regsPerBlock": 65536, "multiProcessorCount": 132, "warpSize": 32,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "maxRegistersPerSM": 65536, "maxCtasPerSM": 32,
  "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "pciDeviceId": 0, "isTccDriver": 0,
  "supportCoopLaunch": 1, "smClockRateKHz": 1980000, "memClockRateKHz": 3201000,
  "l2CacheSize": 62914560, "totalGlobalMem": 150754820096})";

/// Null, with a warning, where cuDNN cannot be loaded: then there is nothing to test.
const CudnnTarget* h200() {
  static const auto target =
      cudnn().problem.empty() ? std::make_unique<CudnnTarget>(described_target(kH200)) : nullptr;
  if (!target) WARN("skipped: " << cudnn().problem);
  return target.get();
}

struct Case {
  const char* what;
  std::array<int64_t, 4> x;  // n, h, w, c
  int64_t out, kernel;
  Conv2dGeometry geometry;
  int64_t alignment = 16;
};

const Case kCases[] = {
    {"3x3 of ResNet-20", {128, 32, 32, 16}, 16, 3, {{1, 1}, {1, 1}}},
    {"its stem", {128, 32, 32, 3}, 16, 3, {{1, 1}, {1, 1}}},
    {"stride 2", {128, 32, 32, 16}, 32, 3, {{2, 2}, {1, 1}}},
    {"1x1 with stride 2", {64, 56, 56, 64}, 128, 1, {{2, 2}, {0, 0}}},
    {"stem of ResNet-50", {64, 224, 224, 3}, 64, 7, {{2, 2}, {3, 3}}},
    {"odd sizes", {3, 9, 7, 5}, 7, 3, {{2, 1}, {0, 2}}, 4},
    {"one pixel", {1, 1, 1, 1}, 1, 1, {}, 4},
    {"dilated", {2, 16, 16, 8}, 8, 3, {{1, 1}, {2, 2}, {2, 2}}},
    {"two groups", {2, 8, 8, 6}, 4, 3, {{1, 1}, {1, 1}, {1, 1}, 2}, 4},
    {"depthwise", {2, 8, 8, 8}, 8, 3, {{1, 1}, {1, 1}, {1, 1}, 8}},
};

ConvProblem problem_of(const Case& c, ConvKind kind, Precision precision) {
  const int64_t p = c.geometry.out_size(0, c.x[1], c.kernel);
  const int64_t q = c.geometry.out_size(1, c.x[2], c.kernel);
  return {kind,
          precision,
          c.x,
          {c.out, c.kernel, c.kernel, c.x[3] / c.geometry.groups},
          {c.x[0], p, q, c.out},
          c.geometry,
          {c.alignment, c.alignment, c.alignment}};
}

bool has_note(const EnginePlan& plan, cudnnBackendNumericalNote_t note) {
  for (const auto found : plan.engine.get<cudnnBackendNumericalNote_t>(
           CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_NUMERICAL_NOTE_TYPE_COUNT))
    if (found == note) return true;
  return false;
}

}  // namespace

TEST_CASE("cuDNN plans every convolution and gradient for an H200, in f32 without tensor cores") {
  const CudnnTarget* target = h200();
  if (!target) return;
  for (const Case& c : kCases)
    for (const auto kind : {ConvKind::forward, ConvKind::backward_data, ConvKind::backward_weight})
      for (const auto precision : {Precision::f32, Precision::tf32}) {
        const ConvProblem problem = problem_of(c, kind, precision);
        CAPTURE(c.what, problem.text());
        const ConvGraph graph(problem, *target);
        const auto names = graph.engines();
        REQUIRE(!names.empty());
        CHECK(std::set<std::string>(names.begin(), names.end()).size() == names.size());
        for (const std::string& name : names) {
          CAPTURE(name);
          const EnginePlan plan = graph.plan(name);
          CHECK(plan.workspace >= 0);
          if (precision == Precision::f32) CHECK(!has_note(plan, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
          for (const auto note :
               {CUDNN_NUMERICAL_NOTE_WINOGRAD, CUDNN_NUMERICAL_NOTE_FFT,
                CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC, CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS,
                CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION})
            CHECK(!has_note(plan, note));
        }
      }
}

TEST_CASE("a precision of TF32 lets cuDNN use tensor cores, and f32 refuses them by name, too") {
  const CudnnTarget* target = h200();
  if (!target) return;
  const ConvProblem f32 = problem_of(kCases[0], ConvKind::forward, Precision::f32);
  const ConvProblem tf32 = problem_of(kCases[0], ConvKind::forward, Precision::tf32);
  const ConvGraph exact(f32, *target), rounded(tf32, *target);
  const std::string first = rounded.engines().front();
  CHECK(has_note(rounded.plan(first), CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
  CHECK(throws<DeviceError>([&] { exact.plan(first); }, first, "may not be used") == "");
}

TEST_CASE("an engine of cuDNN that is not deterministic is refused by name") {
  const CudnnTarget* target = h200();
  if (!target) return;
  // Tensor cores are allowed, so an engine that may not be used is one that breaks another promise.
  const ConvProblem problem = problem_of(kCases[0], ConvKind::backward_weight, Precision::tf32);
  const ConvGraph graph(problem, *target);
  int planned = 0, refused = 0;
  for (int i = 0; i < 40; ++i) {
    try {
      graph.plan(fmt::format("eng{}", i));
      ++planned;
    } catch (const DeviceError& error) {
      refused += std::string(error.what()).find("may not be used") != std::string::npos;
    }
  }
  CHECK(planned > 0);
  CHECK(refused > 0);
}

TEST_CASE("an engine or a knob that cuDNN has not is an error") {
  const CudnnTarget* target = h200();
  if (!target) return;
  const ConvGraph graph(problem_of(kCases[0], ConvKind::forward, Precision::f32), *target);
  CHECK(throws<DeviceError>([&] { graph.plan("eng99999"); }, "cudnnBackend") == "");
  CHECK(throws<DeviceError>([&] { graph.plan("eng0 k2=12345"); }, "cudnnBackend") == "");
  CHECK(throws<DeviceError>([&] { graph.plan("bf16 eng0"); }, "no name of an engine") == "");
}

TEST_CASE("convolutions of bf16 factors with f32 results are graphs that cuDNN takes") {
  const CudnnTarget* target = h200();
  if (!target) return;
  for (const Case& c : kCases)
    for (const auto kind :
         {ConvKind::forward, ConvKind::backward_data, ConvKind::backward_weight}) {
      const ConvProblem problem = problem_of(c, kind, Precision::bf16);
      CAPTURE(c.what, problem.text());
      const ConvGraph graph(problem, *target, Factors::bf16);
      CHECK(throws<DeviceError>([&] { graph.plan("eng0"); }, "no engine for bf16 factors") == "");
    }
  // Their engines are compiled for the device, so without a driver there are none to name.
  const ConvGraph graph(problem_of(kCases[0], ConvKind::forward, Precision::bf16), *target,
                        Factors::bf16);
  for (const std::string& name : graph.engines()) CHECK(name.starts_with("bf16 eng"));
}

namespace {

/// The convolutions of ResNet-20 and of ResNet-56, which repeats them.
const Case kResNet[] = {
    {"first stage", {512, 32, 32, 16}, 16, 3, {{1, 1}, {1, 1}}},
    {"into the second", {512, 32, 32, 16}, 32, 3, {{2, 2}, {1, 1}}},
    {"second stage", {512, 16, 16, 32}, 32, 3, {{1, 1}, {1, 1}}},
    {"into the third", {512, 16, 16, 32}, 64, 3, {{2, 2}, {1, 1}}},
    {"third stage", {512, 8, 8, 64}, 64, 3, {{1, 1}, {1, 1}}},
    {"stem", {512, 32, 32, 3}, 16, 3, {{1, 1}, {1, 1}}},
};

ConvProblem bf16_problem(const Case& c, ConvKind kind, Dtype x, Dtype y) {
  ConvProblem problem = problem_of(c, kind, Precision::bf16);
  problem.types = {x, Dtype::f32, y};
  return problem;
}

}  // namespace

TEST_CASE("what lies in bf16 cuDNN reads and writes so, of a ResNet by tensor cores") {
  const CudnnTarget* target = h200();
  if (!target) return;
  std::vector<Case> cases(std::begin(kResNet), std::end(kResNet));
  cases.insert(cases.end(), std::begin(kCases), std::end(kCases));
  for (const Case& c : cases)
    for (const auto kind : {ConvKind::forward, ConvKind::backward_data}) {
      const bool is_stem = c.x[3] == 3 && kind == ConvKind::forward;
      const ConvProblem problem =
          bf16_problem(c, kind, is_stem ? Dtype::f32 : Dtype::bf16, Dtype::bf16);
      CAPTURE(c.what, problem.text());
      std::vector<Refusal> refusals;
      const EnginePlan plan = ConvEngines(problem, *target).first(refusals);
      CHECK(refusals.empty());
      CHECK(plan.factors == Factors::bf16);
      CHECK(plan.is_whole());
      // Three channels are few for them.
      if (c.x[0] == 512 && c.x[3] > 3) CHECK(has_note(plan, CUDNN_NUMERICAL_NOTE_TENSOR_CORE));
      CHECK(planned_types(problem, plan.factors)[result_of(kind)] == Dtype::bf16);
      CHECK(plan.places == std::vector<size_t>{kX, kW, kY});
    }
}

TEST_CASE(
    "what follows sums of bf16 is left to us where no engine does it, and its plan has a name") {
  const CudnnTarget* target = h200();
  if (!target) return;
  for (const Case& c : kResNet) {
    ConvProblem problem = bf16_problem(c, ConvKind::forward, Dtype::bf16, Dtype::bf16);
    problem.bias = problem.residual = problem.relu = true;
    CAPTURE(problem.text());
    const ConvEngines engines(problem, *target);
    std::vector<Refusal> refusals;
    CHECK(engines.first(refusals).factors != Factors::f32);
    int left = 0;
    for (const EnginePlan& plan : engines.candidates(refusals)) {
      left += plan.factors == Factors::bf16_sums;
      CHECK(plan.is_whole() == (plan.factors == Factors::bf16));
      CHECK(plan.name.starts_with(prefix_of(plan.factors)));
      CHECK(engines.plan(plan.name).factors == plan.factors);
    }
    CHECK(left > 0);
  }
}

TEST_CASE("graphs of every storage and epilogue are such that cuDNN takes them") {
  const CudnnTarget* target = h200();
  if (!target) return;
  for (const auto& [x, y] : {std::pair{Dtype::bf16, Dtype::bf16},
                             {Dtype::f32, Dtype::bf16},
                             {Dtype::bf16, Dtype::f32},
                             {Dtype::f32, Dtype::f32}})
    for (const Case* c : {&kResNet[0], &kResNet[1], &kResNet[5]})
      for (int epilogue = 0; epilogue < 8; ++epilogue) {
        ConvProblem problem = bf16_problem(*c, ConvKind::forward, x, y);
        problem.bias = epilogue & 1, problem.residual = epilogue & 2, problem.relu = epilogue & 4;
        CAPTURE(c->what, problem.text());
        const ConvGraph graph(problem, *target, Factors::bf16);
        for (const std::string& name : graph.engines()) CHECK(name.starts_with("bf16 eng"));
      }
}

TEST_CASE(
    "candidates for timing are few and different, hold the first choice and are found by name") {
  const CudnnTarget* target = h200();
  if (!target) return;
  for (const auto kind : {ConvKind::forward, ConvKind::backward_data, ConvKind::backward_weight})
    for (const auto precision : {Precision::f32, Precision::tf32}) {
      const ConvProblem problem = problem_of(kCases[0], kind, precision);
      CAPTURE(problem.text());
      const ConvEngines engines(problem, *target);
      std::vector<Refusal> refusals;
      const auto candidates = engines.candidates(refusals);
      REQUIRE(!candidates.empty());
      CHECK(candidates.size() <= 8);
      CHECK(candidates.front().name == engines.first(refusals).name);
      std::set<std::string> names;
      for (const EnginePlan& candidate : candidates) {
        names.insert(candidate.name);
        CHECK(engines.plan(candidate.name).workspace == candidate.workspace);
      }
      CHECK(names.size() == candidates.size());
    }
}

TEST_CASE("a problem for which cuDNN has no engine of bf16 factors goes by TF32 and is told why") {
  const CudnnTarget* target = h200();
  if (!target) return;
  // Depthwise: none on any device.
  const ConvProblem problem = problem_of(kCases[9], ConvKind::forward, Precision::bf16);
  const ConvEngines engines(problem, *target);
  std::vector<Refusal> of_first, of_candidates;
  CHECK(engines.first(of_first).factors == Factors::f32);
  for (const EnginePlan& candidate : engines.candidates(of_candidates))
    CHECK(candidate.factors == Factors::f32);
  for (const auto* refusals : {&of_first, &of_candidates}) {
    REQUIRE(!refusals->empty());
    CHECK(refusals->front().kernel.starts_with("bf16 "));
    CHECK(!refusals->front().reason.empty());
  }
}

TEST_CASE("cuDNN's own message for a convolution that does not fit is told") {
  const CudnnTarget* target = h200();
  if (!target) return;
  ConvProblem problem = problem_of(kCases[0], ConvKind::forward, Precision::f32);
  problem.y[1] += 1;
  CHECK(throws<DeviceError>([&] { ConvGraph(problem, *target); }, "cudnnBackendFinalize",
                            "CUDNN_STATUS_BAD_PARAM") == "");
}
