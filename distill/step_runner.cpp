#include <apprentice/distill/step_runner_internal.h>

#include <cmath>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>

namespace apprentice::distill {

StepRunner::StepRunner(Method& method, TrainingState& networks, const Options& options)
    : method_(method),
      networks_(networks),
      options_(options),
      first_(options.first),
      next_(options.first) {
  if (!options.device.is_cpu() && options.graph && method.recordable())
    graph_.emplace(options.device, options.batch);
}

void StepRunner::run(const data::Batch& batch, const StepInfo& info, float lr) {
  info_ = info;
  networks_.prepare_step(lr);
  const auto look = [&](const StepResult& result) { note(result, batch.size()), read_values(); };
  if (options_.device.is_cpu())
    compute(batch, look);
  else if (graph_)
    note(graph_->run(batch, [this](const data::Batch& b) { return compute(b); }), batch.size());
  else
    note(compute(batch), batch.size());
  next_ = info.step + 1;
}

/// All that a step computes. `on_loss` is called before anything depends on the loss.
StepResult StepRunner::compute(const data::Batch& batch,
                               const std::function<void(const StepResult&)>& on_loss) {
  const PrecisionGuard precision(options_.precision);
  const MemoryLabel label("training step");
  StepResult result = method_.step(batch, info_);
  if (on_loss) on_loss(result);
  result.loss.backward();
  networks_.note_gradients();
  if (on_loss) {
    next_ = info_.step + 1;
    check_gradients();
  }
  networks_.apply_step();
  return result;
}

void StepRunner::note(const StepResult& result, int64_t images) {
  if (!record_.fits(result)) {
    next_ = info_.step + 1;  // its gradients are counted already
    catch_up();
  }
  record_.add(info_.step, result, images);
}

void StepRunner::read_values() {
  for (StepValues& values : record_.take()) {
    last_loss_ = values.loss;
    check<CheckFailed>(std::isfinite(values.loss), "step {} (epoch {}): the loss is {}",
                       values.step, info_.epoch, values.loss);
    values_.push_back(std::move(values));
  }
}

void StepRunner::check_gradients() {
  if (first_ == next_) return;
  const int64_t last = next_ - 1;
  const std::string steps =
      last > first_ ? fmt::format("steps {} to {}", first_, last) : fmt::format("step {}", last);
  networks_.check_gradients(fmt::format("{} (epoch {})", steps, info_.epoch));
  first_ = next_;
}

void StepRunner::catch_up() {
  if (options_.device.is_cpu()) return;
  read_values();
  check_gradients();
}

}  // namespace apprentice::distill
