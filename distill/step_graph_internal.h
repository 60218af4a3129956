#pragma once

#include <functional>
#include <optional>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/graph.h>
#include <apprentice/distill/method.h>
#include <apprentice/distill/step_inputs_internal.h>

namespace apprentice::distill {

/// A step, and beside it what the step after takes.
struct Stepped {
  StepResult result;
  std::optional<StepInputs> next;  ///< of the draft that was given
};
/// `next` may be null.
using StepWork = std::function<Stepped(const StepInputs& inputs, const data::Draft* next)>;

/// The steps of a training, recorded once as a graph (base/graph.h) and launched from then on: what
/// a step gives to the device must be the same for every batch of a size, but for the memory that
/// it reads. The first steps, in which libraries choose their algorithms and the allocator its
/// blocks, run as they are, and so do batches that are not full (an epoch's last one).
///
/// With `ahead` a launch makes the inputs of the next step, too: batches and what the method makes
/// of them are a part of the graph, which reads their drafts.
class StepGraph {
 public:
  struct Options {
    Device device;
    int64_t batch = 0;  ///< images of a full one
    bool ahead = false;
  };
  StepGraph(const Options& options, StepWork work) : options_(options), work_(std::move(work)) {}

  /// Is this step launched? To be asked once a step.
  bool takes(const data::Draft& draft);
  /// Has the last launch made what this step takes?
  bool holds(const data::Draft& draft) const { return inputs_.are_of(draft); }
  /// Hands them over where it has not. The first call records the step.
  void put(const data::Draft& draft, const StepInputs& inputs);
  /// Can launches make this one's inputs?
  bool makes(const data::Draft& next) const {
    return options_.ahead && next.size() == options_.batch;
  }
  /// The step whose inputs it has, and with `next`, which may be null, those of the step after. The
  /// result's tensors are those of the latest launch.
  StepResult launch(const data::Draft* next);

  int64_t launches() const { return launches_; }
  /// Of the recorded step; nothing before it is recorded.
  GraphMemory memory() const { return graph_ ? graph_->memory() : GraphMemory{}; }

 private:
  static constexpr int kStepsBefore = 2;

  void record(const data::Draft& draft, const StepInputs& inputs);

  Options options_;
  StepWork work_;
  int before_ = 0;
  int64_t launches_ = 0;
  // What the recorded work reads.
  StepInputs inputs_;
  data::Draft next_;
  StepResult result_;
  std::optional<Graph> graph_;
};

}  // namespace apprentice::distill
