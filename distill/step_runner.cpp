#include <apprentice/distill/step_runner_internal.h>

#include <cmath>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>

namespace apprentice::distill {

StepRunner::StepRunner(Method& method, TrainingState& networks, const data::Loader& loader,
                       const Options& options)
    : method_(method),
      networks_(networks),
      loader_(loader),
      options_(options),
      beside_(options.device),
      first_(options.first),
      next_(options.first) {
  if (options.device.is_cpu() || !options.graph || !method.recordable()) return;
  graph_.emplace(
      StepGraph::Options{
          .device = options.device, .batch = options.batch, .ahead = method.ahead_recordable()},
      [this](const StepInputs& inputs, const data::Draft* next) { return step(inputs, next); });
}

void StepRunner::run(const data::Draft& draft, const data::Draft* next, const StepInfo& info,
                     float lr) {
  info_ = info;
  networks_.prepare_step(lr);
  const int64_t images = draft.size();
  if (options_.device.is_cpu()) {
    compute(make(draft), [&](const StepResult& result) { note(result, images), read_values(); });
  } else if (graph_ && graph_->takes(draft)) {
    note(launch(draft, next), images);
  } else {
    const StepInputs inputs = take_inputs(draft);
    Stepped stepped = step(inputs, next);
    made_ = std::move(stepped.next);
    note(stepped.result, images);
  }
  next_ = info.step + 1;
}

StepInputs StepRunner::make(const data::Draft& draft) {
  const PrecisionGuard precision(options_.precision);
  const NoGrad no_grad;
  StepInputs inputs{loader_.make(draft), {}};
  inputs.ahead = method_.ahead(inputs.batch);
  return inputs;
}

StepInputs StepRunner::make_beside(const data::Draft& draft) {
  const StreamGuard there(beside_.get());
  return make(draft);
}

/// Those made beside an earlier step, if they are of this one.
StepInputs StepRunner::take_inputs(const data::Draft& draft) {
  const std::optional<StepInputs> made = std::exchange(made_, std::nullopt);
  if (made && made->are_of(draft)) return *made;
  beside_.fork();
  StepInputs inputs = make_beside(draft);
  beside_.join();
  return inputs;
}

Stepped StepRunner::step(const StepInputs& inputs, const data::Draft* next) {
  Stepped stepped;
  beside_.fork();
  if (next) stepped.next = make_beside(*next);
  stepped.result = compute(inputs);
  beside_.join();
  return stepped;
}

/// What the graph cannot make of the next step is made beside its launch.
StepResult StepRunner::launch(const data::Draft& draft, const data::Draft* next) {
  if (!graph_->holds(draft)) graph_->put(draft, take_inputs(draft));
  const bool within = next && graph_->makes(*next);
  beside_.fork();
  if (next && !within) made_ = make_beside(*next);
  StepResult result = graph_->launch(within ? next : nullptr);
  beside_.join();
  return result;
}

/// All that a step computes. `on_loss` is called before anything depends on the loss.
StepResult StepRunner::compute(const StepInputs& inputs,
                               const std::function<void(const StepResult&)>& on_loss) {
  const PrecisionGuard precision(options_.precision);
  StepResult result = [&] {
    const MemoryLabel label("activations");
    return method_.step(inputs.batch, inputs.ahead, info_);
  }();
  if (on_loss) on_loss(result);
  {
    const MemoryLabel label("gradients");
    run_backward(result);
  }
  const MemoryLabel label("update");
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
