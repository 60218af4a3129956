#pragma once

#include <string>
#include <vector>

#include <apprentice/nn/module.h>

namespace apprentice::nn {

/// Parameters that move by the same rule.
struct ParameterGroup {
  NamedTensors parameters;
  double lr_scale = 1;      ///< the group's learning rate is lr_scale * lr
  double weight_decay = 0;  ///< see the optimizer for where it enters
};

/// Moves parameters against their gradients; parameters without a gradient stay. f32 or f64.
/// ConfigError if a name appears twice or an option is out of its range.
class Optimizer {
 public:
  explicit Optimizer(std::vector<ParameterGroup> groups);
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One step at learning rate `lr`.
  virtual void step(double lr) = 0;
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
  /// Zeros like every parameter, as groups_.
  std::vector<std::vector<Tensor>> zeros_like_parameters() const;
  /// Adds `tensors` to `state` as "<prefix>.<parameter>".
  void name_state(const std::string& prefix, const std::vector<std::vector<Tensor>>& tensors,
                  StateDict& state) const;
  /// Calls update(group, parameter, gradient, group index, index) for every parameter that has a
  /// gradient.
  template <class Update>
  void for_each(Update&& update) {
    for (size_t g = 0; g < groups_.size(); ++g)
      for (size_t i = 0; i < groups_[g].parameters.size(); ++i) {
        Tensor& parameter = groups_[g].parameters[i].second;
        const Tensor grad = parameter.grad();
        if (grad.defined()) update(groups_[g], parameter, grad, g, i);
      }
  }

  std::vector<ParameterGroup> groups_;
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
  void step(double lr) override;
  StateDict state() const override;

 private:
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
  void step(double lr) override;
  /// "mean.*", "square.*" and "steps" ([1] i64).
  StateDict state() const override;

 private:
  Options options_;
  std::vector<std::vector<Tensor>> mean_, square_;  ///< as groups_
  Tensor steps_;
};

}  // namespace apprentice::nn
