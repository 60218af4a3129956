#pragma once

#include <limits>
#include <map>
#include <span>
#include <string>
#include <vector>

#include <apprentice/kernels/quantize_weights.h>
#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Parameters that move by the same rule.
struct ParameterGroup {
  NamedTensors parameters;
  double lr_scale = 1;      ///< the group's learning rate is lr_scale * lr
  double weight_decay = 0;  ///< see the optimizer for where it enters
};

/// What a step does with a parameter that it moves, in the same launch (kernels/optimizer.h).
struct ParameterCodes {
  Tensor parameter;                                      ///< f32
  kernels::QuantizeWeights::Weight codes;                ///< its w: the parameter, whole
  float bound = std::numeric_limits<float>::infinity();  ///< then |parameter| <= bound
  bool made = false;  ///< set by apply_step(): false if the parameter is none that moves
};

/// Moves parameters against their gradients; parameters without a gradient stay. f32 or f64, all on
/// one device (DeviceError).
/// ConfigError if a name appears twice or an option is out of its range.
class Optimizer {
 public:
  explicit Optimizer(std::vector<ParameterGroup> groups);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One step at learning rate `lr`: both halves below.
  void step(double lr);
  /// Counts a step and hands what changes from step to step to the device, in its current stream,
  /// without waiting.
  void prepare_step(double lr);
  /// The step itself: launches alone, which read those numbers on the device. So it may be captured
  /// once and replayed, each time after a prepare_step(). On a device it is one launch (some 200
  /// parameters each), and so it is with `codes` of weights whose rows have up to 8,192 elements;
  /// longer rows take a second one.
  void apply_step(std::span<ParameterCodes> codes = {});
  /// From now on a step leaves everything as it is where `count` [1] i64, beside the parameters, is
  /// not 0 when it runs: say, so many numbers of the gradients were not finite. Undefined: never.
  /// Counters of the host (Adam's) go on, so state() is not to be saved after a step left out.
  void skip_where(Tensor count) { skip_ = std::move(count); }
  /// Forgets all gradients.
  void zero_grad();
  const std::vector<ParameterGroup>& groups() const { return groups_; }
  std::vector<ParameterGroup>& groups() { return groups_; }

  /// What step() remembers, by name ("momentum.conv1.weight"), sharing memory: for checkpoints.
  virtual StateDict state() const = 0;
  /// Copies such a state in. Error naming the first tensor that is missing or unknown, ShapeError
  /// naming the first of another shape.
  void load_state(const StateDict& state);

 protected:
  /// The launches of apply_step().
  virtual void launch_step() = 0;
  /// What is asked of a parameter of the step at hand; sets `made`. Null: nothing.
  const ParameterCodes* asked(const Tensor& parameter) const;
  /// What a step at learning rate `lr` reads, f64; counts the step.
  virtual std::vector<double> next_numbers(double lr) = 0;
  /// Zeros like every parameter, as groups_.
  std::vector<std::vector<Tensor>> zeros_like_parameters() const;
  /// Adds `tensors` to `state` as "<prefix>.<parameter>".
  void name_state(const std::string& prefix, const std::vector<std::vector<Tensor>>& tensors,
                  StateDict& state) const;
  /// Where the parameters are; DeviceError if that is not one place.
  Device device() const;
  /// Where apply_step() launches.
  Stream stream() const;
  View1<const int64_t> skip() const;

  std::vector<ParameterGroup> groups_;
  Tensor numbers_;  ///< of the step prepared last, on the device
  Tensor skip_;

 private:
  std::map<const std::byte*, ParameterCodes*> asked_;  ///< by the memory of the parameter
};

/// Stochastic gradient descent, as in PyTorch (no dampening):
///   g = grad + weight_decay p;  v = momentum v + g;  p -= lr (nesterov ? g + momentum v : v)
class Sgd final : public Optimizer {
 public:
  struct Options {
    double momentum = 0;
    bool nesterov = false;
  };
  Sgd(std::vector<ParameterGroup> groups, const Options& options);
  StateDict state() const override;

 protected:
  void launch_step() override;
  std::vector<double> next_numbers(double lr) override;

 private:
  template <class T>
  void apply();

  Options options_;
  std::vector<std::vector<Tensor>> momentum_;  ///< as groups_
};

/// Adam (Kingma and Ba 2015, algorithm 1):
///   m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   p -= lr (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
/// with g = grad + weight_decay p, or, decoupled (Loshchilov and Hutter 2019), p *= 1 - lr
/// weight_decay first.
class Adam final : public Optimizer {
 public:
  struct Options {
    double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    bool decoupled = false;
  };
  Adam(std::vector<ParameterGroup> groups, const Options& options);
  /// "mean.*", "square.*" and "steps" ([1] i64, on the CPU).
  StateDict state() const override;

 protected:
  void launch_step() override;
  std::vector<double> next_numbers(double lr) override;

 private:
  template <class T>
  void apply();

  Options options_;
  std::vector<std::vector<Tensor>> mean_, square_;  ///< as groups_
  Tensor steps_;
};

}  // namespace apprentice::nn
