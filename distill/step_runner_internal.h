#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include <apprentice/base/stream.h>
#include <apprentice/core/precision.h>
#include <apprentice/data/loader.h>
#include <apprentice/distill/step_graph_internal.h>
#include <apprentice/distill/step_record_internal.h>
#include <apprentice/distill/training_state_internal.h>

namespace apprentice::distill {

/// Runs the steps of a method and looks at what they give: on the CPU within each step, on another
/// device, which is not waited for, only in catch_up(). On another device the batch of the next
/// step is made, with what the method makes of it ahead, in a stream beside each step.
class StepRunner {
 public:
  struct Options {
    Device device;
    Precision precision = Precision::f32;
    bool graph = true;  ///< as TrainerOptions::graph
    int64_t batch = 0;  ///< images of a full one
    int64_t first = 0;  ///< the step that comes first
  };
  /// `loader` gives the drafts of the batches; all three outlive this.
  StepRunner(Method& method, TrainingState& networks, const data::Loader& loader,
             const Options& options);

  /// Does run() want to know the draft of the step after?
  bool looks_ahead() const { return !options_.device.is_cpu(); }
  /// One step at learning rate `lr`. `next` is the draft of the step after, or null; it may be
  /// another in the end, which costs time alone. CheckFailed as catch_up(), of steps whose values
  /// it has to read.
  void run(const data::Draft& draft, const data::Draft* next, const StepInfo& info, float lr);
  /// Waits for the device, if there is one, and looks at its steps so far. CheckFailed naming the
  /// step whose loss, or the first and last of the steps and the parameter whose gradient is not
  /// finite.
  void catch_up();

  /// Of the steps that were looked at since the last call, in their order.
  std::vector<StepValues> take() { return std::exchange(values_, {}); }
  /// Of the last step that was looked at; NaN: of none yet.
  double last_loss() const { return last_loss_; }
  /// Steps that were launched as a graph, and the memory of that.
  int64_t recorded_steps() const { return graph_ ? graph_->launches() : 0; }
  GraphMemory graph_memory() const { return graph_ ? graph_->memory() : GraphMemory{}; }

 private:
  StepInputs make(const data::Draft& draft);
  StepInputs make_beside(const data::Draft& draft);
  StepInputs take_inputs(const data::Draft& draft);
  Stepped step(const StepInputs& inputs, const data::Draft* next);
  StepResult launch(const data::Draft& draft, const data::Draft* next);
  StepResult compute(const StepInputs& inputs,
                     const std::function<void(const StepResult&)>& on_loss = nullptr);
  void note(const StepResult& result, int64_t images);
  void read_values();
  void check_gradients();

  Method& method_;
  TrainingState& networks_;
  const data::Loader& loader_;
  Options options_;
  SideStream beside_;
  std::optional<StepInputs> made_;  ///< of a step to come
  std::optional<StepGraph> graph_;
  StepRecord record_;
  StepInfo info_;         ///< of the latest step
  int64_t first_, next_;  ///< not checked for gradients: steps from first_ up to next_
  double last_loss_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<StepValues> values_;
};

}  // namespace apprentice::distill
