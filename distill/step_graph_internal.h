#pragma once

#include <functional>
#include <optional>

#include <apprentice/base/graph.h>
#include <apprentice/distill/method.h>

namespace apprentice::distill {

/// The steps of a training, recorded once as a graph (base/graph.h) and launched from then on: what
/// a step gives to the device must be the same for every batch of a size, but for the memory that
/// it reads. The first steps, in which libraries choose their algorithms and the allocator its
/// blocks, run as they are, and so do batches that are not full (an epoch's last one).
class StepGraph {
 public:
  /// `batch` is the size of a full one.
  StepGraph(Device device, int64_t batch) : device_(device), batch_(batch) {}
  /// What `work(batch)` gives. The result's tensors are those of the latest step.
  StepResult run(const data::Batch& batch,
                 const std::function<StepResult(const data::Batch&)>& work);
  int64_t launches() const { return launches_; }
  /// Memory of the recorded step; 0 before it is recorded.
  size_t bytes() const { return graph_ ? graph_->bytes() : 0; }

 private:
  static constexpr int kStepsBefore = 2;

  void record(const data::Batch& batch, const std::function<StepResult(const data::Batch&)>& work);

  Device device_;
  int64_t batch_;
  int before_ = 0;
  int64_t launches_ = 0;
  data::Batch inputs_;  ///< of the recorded work
  StepResult result_;
  std::optional<Graph> graph_;
};

}  // namespace apprentice::distill
