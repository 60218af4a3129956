#pragma once

#include <string>
#include <string_view>
#include <vector>

#include <apprentice/kernels/dense/cudnn/descriptor_internal.h>
#include <apprentice/kernels/dense/plans/conv2d_problem_internal.h>

namespace apprentice::kernels::dense {

/// What cuDNN plans for: the device of a handle, or one that is only described, as JSON.
struct CudnnTarget {
  cudnnHandle_t handle = nullptr;
  Descriptor described;
};
CudnnTarget described_target(const std::string& json);

/// As what cuDNN gets the two factors of a problem, and whether its graph goes on with what follows
/// the sums of a forward:
///   f32        the sums alone
///   bf16       all of it, in f32, and one rounding where it writes
///   bf16_sums  the sums alone, which it stores as the output's memory holds them
enum class Factors : uint8_t { f32, bf16, bf16_sums };
/// As what it gets x, w and y then: what it computes is f32 beside f32 factors, and beside bf16
/// ones what its memory holds. Where this is not what memory holds, the runner converts.
std::array<Dtype, 3> planned_types(const ConvProblem& problem, Factors factors);

/// The memory that a plan reads or writes, by these places.
enum ConvPlace : size_t { kX, kW, kY, kBias, kResidual };
using ConvAddresses = std::array<void*, 5>;

/// An algorithm of cuDNN for one problem, ready to run.
struct EnginePlan {
  std::string name;
  Descriptor engine, config, plan;
  int64_t workspace = 0;  ///< bytes that a run needs
  Factors factors = Factors::f32;
  std::vector<size_t> places;  ///< ConvPlace of each tensor that it names

  /// Does it do what follows the sums?
  bool is_whole() const { return factors == Factors::bf16; }
};

/// A convolution or one of its gradients as a graph of cuDNN, and cuDNN's engines for it.
///
/// Engines go by name, "eng70 k2=4 k18=0" or "bf16 eng7": the number of the engine and its knobs,
/// which mean the same wherever version, device and problem are the same, and what the factors are.
/// Only such are named and planned that
/// compute what we promise:
///   - the direct sum: no Winograd, no FFT;
///   - in an order that follows from the problem: none that cuDNN calls nondeterministic;
///   - with f32 sums: no reduced reductions, no factors rounded to less than asked for;
///   - on tensor cores, where f32 factors become TF32, only if the precision allows it.
class ConvGraph {
 public:
  ConvGraph(const ConvProblem& problem, const CudnnTarget& target, Factors factors = Factors::f32);

  /// What cuDNN's heuristics propose, then what it falls back to; the most promising first.
  std::vector<std::string> engines() const;
  /// DeviceError if there is no such engine here or it may not be used.
  EnginePlan plan(const std::string& name) const;
  Factors factors() const { return factors_; }

 private:
  void propose(cudnnBackendHeurMode_t mode, std::vector<std::string>& names) const;
  bool is_allowed(const Descriptor& engine) const;

  cudnnBackendDescriptor_t keep(Descriptor part);
  cudnnBackendDescriptor_t tensor(const ConvProblem& problem, size_t place, Dtype type);
  cudnnBackendDescriptor_t between(const std::array<int64_t, 4>& sizes);
  std::vector<cudnnBackendDescriptor_t> follow(const ConvProblem& problem,
                                               cudnnBackendDescriptor_t sums);
  cudnnBackendDescriptor_t pointwise(cudnnPointwiseMode_t mode, cudnnBackendDescriptor_t x,
                                     cudnnBackendDescriptor_t b, cudnnBackendDescriptor_t y);

  const CudnnTarget& target_;
  Precision precision_;
  Factors factors_;
  std::vector<size_t> places_;
  std::vector<Descriptor> parts_;  ///< what graph_ is made of
  Descriptor graph_;
};

/// What the names of engines for such factors begin with.
constexpr std::string_view prefix_of(Factors factors) {
  constexpr std::string_view kPrefixes[] = {"", "bf16 ", "sums of bf16 "};
  return kPrefixes[size_t(factors)];
}

/// Runs the plan in the handle's stream; memory of the planned types, those of its places.
void execute(const EnginePlan& plan, cudnnHandle_t handle, const ConvAddresses& memory,
             void* workspace);

}  // namespace apprentice::kernels::dense
