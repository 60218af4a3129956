#pragma once

#include <functional>
#include <limits>
#include <optional>
#include <vector>

#include <apprentice/core/precision.h>
#include <apprentice/distill/step_graph_internal.h>
#include <apprentice/distill/step_record_internal.h>
#include <apprentice/distill/training_state_internal.h>

namespace apprentice::distill {

/// Runs the steps of a method and looks at what they give: on the CPU within each step, on another
/// device, which is not waited for, only in catch_up().
class StepRunner {
 public:
  struct Options {
    Device device;
    Precision precision = Precision::f32;
    bool graph = true;  ///< as TrainerOptions::graph
    int64_t batch = 0;  ///< images of a full one
    int64_t first = 0;  ///< the step that comes first
  };
  StepRunner(Method& method, TrainingState& networks, const Options& options);

  /// One step at learning rate `lr`. CheckFailed as catch_up(), of steps whose values it has to
  /// read.
  void run(const data::Batch& batch, const StepInfo& info, float lr);
  /// Waits for the device, if there is one, and looks at its steps so far. CheckFailed naming the
  /// step whose loss, or the first and last of the steps and the parameter whose gradient is not
  /// finite.
  void catch_up();

  /// Of the steps that were looked at since the last call, in their order.
  std::vector<StepValues> take() { return std::exchange(values_, {}); }
  /// Of the last step that was looked at; NaN: of none yet.
  double last_loss() const { return last_loss_; }
  /// Steps that were launched as a graph, and the memory that it holds.
  int64_t recorded_steps() const { return graph_ ? graph_->launches() : 0; }
  size_t graph_bytes() const { return graph_ ? graph_->bytes() : 0; }

 private:
  StepResult compute(const data::Batch& batch,
                     const std::function<void(const StepResult&)>& on_loss = nullptr);
  void note(const StepResult& result, int64_t images);
  void read_values();
  void check_gradients();

  Method& method_;
  TrainingState& networks_;
  Options options_;
  std::optional<StepGraph> graph_;
  StepRecord record_;
  StepInfo info_;         ///< of the latest step
  int64_t first_, next_;  ///< not checked for gradients: steps from first_ up to next_
  double last_loss_ = std::numeric_limits<double>::quiet_NaN();
  std::vector<StepValues> values_;
};

}  // namespace apprentice::distill
