#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <apprentice/base/registry.h>
#include <apprentice/data/batch.h>
#include <apprentice/distill/recipe.h>
#include <apprentice/distill/teacher.h>
#include <apprentice/nn/module.h>

namespace apprentice::distill {

/// Where in the run a step stands.
struct StepInfo {
  int64_t step = 0, steps = 0;  ///< of the run
  int64_t epoch = 0;
};

/// One weighted part of the loss.
struct LossTerm {
  std::string name;
  Tensor value;  ///< scalar, before its weight
  double weight = 0;
};

/// What one step has made; the trainer calls run_backward() and moves the trained networks. All of
/// it lies where the batch does, so that the host need not wait for a device to make it.
struct StepResult {
  Tensor loss;                  ///< scalar: the sum of weight * value
  std::vector<LossTerm> terms;  ///< in a fixed order
  Tensor correct;               ///< [1] f32: rows of the batch that the student got right
  /// Brings the gradients of the loss to the trained networks; empty: loss is in the graph, and
  /// loss.backward() does.
  std::function<void()> backward{};
};

/// Brings the gradients of the loss to the trained networks, once, and forgets what that took.
void run_backward(StepResult& result);

/// A network that a method trains, with an optimizer of its own.
struct Trained {
  std::string name;  ///< "student", "teacher"
  std::shared_ptr<nn::TensorModule> network;
};

/// What a method is made from.
struct MethodSetup {
  Recipe recipe;
  std::shared_ptr<nn::TensorModule> student;
  std::shared_ptr<nn::TensorModule> teacher;  ///< null: none
  std::shared_ptr<Teacher>
      teacher_logits;  ///< of a frozen teacher, in place of `teacher`; null: none
};

/// Owns what happens in one step: which forwards, which losses with which weights, which networks
/// move. All else is the trainer's, so any method runs with any quantizer, network and data set.
class Method {
 public:
  virtual ~Method() = default;
  /// The networks that backward() reaches and the optimizers move; the student first.
  virtual std::vector<Trained> trained() const = 0;
  /// What step() needs of a batch in which no trained network has a part, say the logits of a
  /// frozen one; not in the graph. Another device than the CPU is asked for it a step early, in a
  /// stream beside the step before.
  virtual std::vector<Tensor> ahead(const data::Batch& /*batch*/) { return {}; }
  /// Forwards and losses of one batch; `ahead` is what ahead() gave for it. Trained networks are in
  /// training mode.
  virtual StepResult step(const data::Batch& batch, const std::vector<Tensor>& ahead,
                          const StepInfo& info) = 0;
  /// Does step() give a device the same work for every batch of a size, whatever `info` is, from
  /// the tensors that it is given alone (ids and epoch of the batch are those of another one)? Then
  /// the trainer may record a step once and launch it from then on (base/graph.h).
  virtual bool recordable() const { return false; }
  /// The same of ahead(), which then is a part of that record; else it is called before each step.
  virtual bool ahead_recordable() const { return false; }
};

using MethodFactory = std::function<std::unique_ptr<Method>(const MethodSetup& setup)>;

/// What a method does with a teacher network.
enum class TeacherNeed { none, frozen, trained };

/// What a method registers.
struct MethodEntry {
  /// ConfigError if the setup lacks what the method needs.
  MethodFactory make;
  /// What the recipe asks for. ConfigError for settings that contradict each other
  /// (distill.scheme, teacher.weights, model.init).
  std::function<TeacherNeed(const Recipe& recipe)> teacher_need;
};

/// All methods by name: one file in distill/methods/ each.
Registry<MethodEntry>& methods();

}  // namespace apprentice::distill
