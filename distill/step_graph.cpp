#include <apprentice/distill/step_graph_internal.h>

namespace apprentice::distill {

bool StepGraph::takes(const data::Draft& draft) {
  if (draft.size() != options_.batch) return false;
  if (before_ == kStepsBefore) return true;
  ++before_;
  return false;
}

void StepGraph::put(const data::Draft& draft, const StepInputs& inputs) {
  if (!graph_) record(draft, inputs);
  inputs_.copy_from(inputs);
}

StepResult StepGraph::launch(const data::Draft* next) {
  if (next) next_.copy_from(*next);
  graph_->launch(current_stream(options_.device));
  // Without a next one it has made anew those of the draft that lies there.
  if (options_.ahead) inputs_.name_after(next_);
  ++launches_;
  return result_;
}

void StepGraph::record(const data::Draft& draft, const StepInputs& inputs) {
  {
    const MemoryLabel label("batch");
    inputs_ = inputs.new_empty();
    if (options_.ahead) next_ = draft.clone();
  }
  // The steps so far keep blocks for streams that have little use for them from now on.
  device_allocator(options_.device).release_cached();
  graph_.emplace(options_.device, [&] {
    Stepped stepped = work_(inputs_, options_.ahead ? &next_ : nullptr);
    result_ = std::move(stepped.result);
    result_.loss = result_.loss.detach();
    if (stepped.next) inputs_.copy_from(*stepped.next);
  });
}

}  // namespace apprentice::distill
