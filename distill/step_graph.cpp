#include <apprentice/distill/step_graph_internal.h>

#include <apprentice/base/device_allocator.h>

namespace apprentice::distill {

StepResult StepGraph::run(const data::Batch& batch,
                          const std::function<StepResult(const data::Batch&)>& work) {
  if (batch.size() != batch_) return work(batch);
  if (before_ < kStepsBefore) {
    ++before_;
    return work(batch);
  }
  if (!graph_) record(batch, work);
  inputs_.x.copy_from(batch.x);
  inputs_.labels.copy_from(batch.labels);
  graph_->launch(current_stream(device_));
  ++launches_;
  return result_;
}

void StepGraph::record(const data::Batch& batch,
                       const std::function<StepResult(const data::Batch&)>& work) {
  inputs_ = batch;
  inputs_.x = batch.x.new_empty(batch.x.shape());
  inputs_.labels = batch.labels.new_empty(batch.labels.shape());
  // The steps so far keep blocks for a stream that has little use for them from now on.
  device_allocator(device_).release_cached();
  graph_.emplace(device_, [&] {
    result_ = work(inputs_);
    result_.loss = result_.loss.detach();
  });
}

}  // namespace apprentice::distill
