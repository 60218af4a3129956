#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <apprentice/core/tensor.h>
#include <apprentice/nn/scaled.h>

namespace apprentice::nn {

/// Named tensors, as a model file holds them.
using StateDict = std::map<std::string, Tensor>;
using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// A weight as a layer uses it. Without a parametrization: the parameter itself, no step.
struct EffectiveWeight {
  Tensor data;           ///< real values, or codes if there is a step
  Tensor step;           ///< weight = step * data; [1] or [out]
  Tensor step_negative;  ///< two-step grids (TTQ), eval mode: step of the codes below zero
  int64_t max_code = 0;  ///< largest |code|, 0 without a step
};

/// step * data: the real weight, differentiable in data.
Tensor real(const EffectiveWeight& weight);

/// How a parameter becomes the weight that a layer uses: what quantizers implement.
class Parametrization {
 public:
  virtual ~Parametrization() = default;
  /// Differentiable back to `parameter` (by the surrogate gradient that it states). In eval mode a
  /// function of tensors that the layer has registered alone: layers keep what they make of it.
  virtual EffectiveWeight apply(const Tensor& parameter, bool training) const = 0;
  /// Gives back what is kept beside the layer's tensors, which move to another device.
  virtual void forget() const {}
};

/// A layer or network: named parameters, buffers and children, PyTorch-style state dict.
class Module {
 public:
  virtual ~Module() = default;
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  /// Names are joined with '.', in the order of registration; children come after own tensors.
  NamedTensors named_parameters() const;
  NamedTensors named_buffers() const;
  std::vector<Tensor> parameters() const;
  /// This module ("") and all below it.
  std::vector<std::pair<std::string, Module*>> named_modules();

  /// Parameters and buffers, sharing memory.
  StateDict state_dict() const;
  /// Copies values in, all or none. ShapeError naming the tensor if one has another shape
  /// ("layer1.0.conv1.weight: got [16, 3, 3, 8], the model has [16, 3, 3, 16]"), Error naming the
  /// first few if some are missing or unknown. `num_batches_tracked` is ignored.
  void load_state_dict(const StateDict& state);

  /// Train or eval mode, for this module and all below.
  void train(bool on = true);
  void eval() { train(false); }
  bool training() const { return training_; }
  /// How often one of these was called.
  uint64_t mode_changes() const { return mode_changes_; }
  /// Converts parameters and buffers to f32 or f64 (for gradient checks). Handles taken before are
  /// no longer this module's.
  void to(Dtype dtype);
  /// Moves parameters, buffers and gradients to another device, in place: handles taken before,
  /// those of optimizers and quantizers too, stay this module's (core/move.h).
  void to(Device device);
  /// Where they lie: that of the first; the CPU where there is none.
  Device device() const;
  /// Do backward passes reach the parameters? A frozen teacher's do not.
  void set_requires_grad(bool on);

  /// Registration, also open to those who attach things from outside (quantizers). A parameter
  /// wants a gradient from then on. Error on a name taken twice.
  Tensor add_parameter(const std::string& name, Tensor value);
  Tensor add_buffer(const std::string& name, Tensor value);
  /// An empty name puts the child's tensors and children under this module's own name.
  template <class M>
  std::shared_ptr<M> add_module(const std::string& name, std::shared_ptr<M> child) {
    adopt(name, child);
    return child;
  }
  Tensor parameter(const std::string& name) const;
  Tensor buffer(const std::string& name) const;

  /// From now on `effective(name)` is what `parametrization` makes of it; null takes it off.
  void parametrize(const std::string& name, std::shared_ptr<const Parametrization> parametrization);
  std::shared_ptr<const Parametrization> parametrization(const std::string& name) const;
  /// The parameter as this layer must use it.
  EffectiveWeight effective(const std::string& name) const;

 protected:
  /// Gives back what is kept beside the module's own tensors, which move to another device.
  virtual void forget() {}
  /// The key of this module that a file's key stands for, where the file's is not one itself.
  virtual std::string key_of(const std::string& file_key) const { return file_key; }

 private:
  void adopt(const std::string& name, std::shared_ptr<Module> child);
  NamedTensors collect(NamedTensors Module::*own) const;
  /// What is registered right under this module's name.
  std::vector<std::string> own_names() const;
  void check_free(const std::string& name) const;

  NamedTensors parameters_, buffers_;
  std::vector<std::pair<std::string, std::shared_ptr<Module>>> children_;
  std::map<std::string, std::shared_ptr<const Parametrization>> parametrizations_;
  bool training_ = true;
  uint64_t mode_changes_ = 0;
};

/// A module that maps one tensor to one: what Sequential and trainers take.
class TensorModule : public Module {
 public:
  virtual Tensor forward(const Tensor& x) = 0;
  Tensor operator()(const Tensor& x) { return forward(x); }
};

}  // namespace apprentice::nn
