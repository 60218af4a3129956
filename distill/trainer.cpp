#include <apprentice/distill/trainer.h>

#include <chrono>
#include <cmath>
#include <optional>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/data/loader.h>
#include <apprentice/data/resident_set.h>
#include <apprentice/distill/reports_internal.h>
#include <apprentice/distill/resume.h>
#include <apprentice/distill/run_folder.h>
#include <apprentice/distill/step_log_internal.h>
#include <apprentice/distill/step_runner_internal.h>
#include <apprentice/nn/schedule.h>

namespace apprentice::distill {

namespace {

constexpr const char* kSummaryHeader =
    "epoch,step,train_loss,train_top1,test_loss,test_top1,lr,train_images_per_s,train_seconds";

data::LoaderOptions on_device(data::LoaderOptions options, Device device) {
  options.device = device;
  return options;
}

/// Images trained on, and the time of their steps.
struct TrainingTime {
  int64_t images = 0;
  double seconds = 0;

  void add(int64_t more_images, double more_seconds) {
    images += more_images, seconds += more_seconds;
  }
  double images_per_s() const { return seconds > 0 ? double(images) / seconds : 0; }
};

class Trainer {
 public:
  Trainer(const TrainerParts& parts, const TrainerOptions& options)
      : recipe_(parts.recipe),
        options_(options),
        student_(parts.student),
        test_(parts.test),
        method_(methods()
                    .get(recipe_.distill.method)
                    .make({recipe_, parts.student, parts.teacher, parts.teacher_logits})),
        networks_(method_->trained(), infos(parts), recipe_.train),
        loader_(parts.train, on_device(loader_options(recipe_), options.device)),
        schedule_(nn::make_schedule(recipe_.train.schedule,
                                    {.warmup_steps = recipe_.train.warmup_steps})),
        steps_(recipe_.train.epochs * loader_.batches_per_epoch()) {
    check(loader_.batches_per_epoch() > 0, "train: the training set '{}' is empty",
          parts.train->name);
    open_folder();
    if (!options_.device.is_cpu() && recipe_.data.resident)
      resident_test_.emplace(test_, options_.device);
    runner_.emplace(*method_, networks_, loader_,
                    StepRunner::Options{.device = options_.device,
                                        .precision = parse_precision(recipe_.train.precision),
                                        .graph = options_.graph,
                                        .batch = recipe_.train.batch,
                                        .first = state_.step});
    if (state_.step > 0) return;  // a run that goes on has said it
    emit(learning_rate_report(*student_));
    emit(device_report(recipe_, options_.device, not_recorded()));
    emit(bad_sample_report(*parts.train));
    emit(bad_sample_report(*parts.test));
  }

  TrainResult run() {
    if (state_.epoch == recipe_.train.epochs) evaluate_test();
    while (state_.epoch < recipe_.train.epochs) {
      train_epoch();
      evaluate_test();
      finish_epoch();
    }
    return {.test = test_metrics_,
            .best_top1 = state_.best_top1,
            .steps = state_.step,
            .recorded_steps = runner_->recorded_steps(),
            .train_images_per_s = trained_.images_per_s(),
            .checkpoint = folder_->checkpoints().last()};
  }

 private:
  std::vector<quant::ModelInfo> infos(const TrainerParts& parts) const {
    std::vector<quant::ModelInfo> infos{parts.student_info};
    while (infos.size() < method_->trained().size()) infos.push_back(parts.teacher_info);
    return infos;
  }

  void open_folder() {
    state_.seed = recipe_.train.seed;
    state_.recipe_hash = recipe_hash(recipe_);
    if (!options_.resume) {
      folder_ = RunFolder::create(options_.output, recipe_, recipe_.train.keep_checkpoints);
      return;
    }
    folder_ = RunFolder::reopen(options_.output, recipe_.train.keep_checkpoints);
    check_same_run(options_.output, recipe_);
    const std::string from = resume_point(options_);
    if (!from.empty()) {
      state_ = verify_checkpoint(from);
      check<ConfigError>(state_.recipe_hash == recipe_hash(recipe_),
                         "{}: the checkpoint is of another recipe than {}/recipe.toml", from,
                         options_.output);
      networks_.read(from);
      log_.load(state_.sums);
    }
    folder_->cut_logs(state_);
    emit("resumed", {{"checkpoint", from}});
  }

  /// Why the steps on another device than the CPU are not recorded, or nothing.
  std::string not_recorded() const {
    if (options_.device.is_cpu() || !options_.graph || method_->recordable()) return "";
    return "the method's steps are not the same work for every batch";
  }

  void train_epoch() {
    networks_.train();
    if (!next_) loader_.start(state_.epoch, state_.cursor);
    log_.restart_clock();
    rate_.add(0);
    trained_in_epoch_ = {};
    while (state_.cursor < loader_.batches_per_epoch()) {
      const auto start = std::chrono::steady_clock::now();
      if (!next_) next_ = loader_.next_draft();
      check(next_.has_value(), "train: the loader ended before the epoch");
      const data::Draft draft = *next_;
      next_ = runner_->looks_ahead() ? draft_after() : std::nullopt;
      train_step(draft, next_ ? &*next_ : nullptr);
      if (is_line_due()) catch_up();
      const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
      for (TrainingTime* count : {&trained_, &trained_in_epoch_})
        count->add(draft.size(), seconds.count());
      after_step();
    }
  }

  /// Of this epoch, or the first of the one that follows.
  std::optional<data::Draft> draft_after() {
    std::optional<data::Draft> draft = loader_.next_draft();
    if (draft || state_.epoch + 1 == recipe_.train.epochs) return draft;
    loader_.start(state_.epoch + 1);
    return loader_.next_draft();
  }

  void train_step(const data::Draft& draft, const data::Draft* next) {
    const bool recorded = runner_->recorded_steps() > 0;
    checked([&] {
      runner_->run(draft, next, {.step = state_.step, .steps = steps_, .epoch = state_.epoch},
                   float(lr_at(state_.step)));
    });
    ++state_.step;
    ++state_.cursor;
    take_values();
    if (!recorded && runner_->recorded_steps() > 0) {
      emit("graph", {{"bytes", int64_t(runner_->graph_memory().held)}});
      report_memory();
    }
    report_progress();
  }

  /// Before anything is logged or saved.
  void catch_up() {
    checked([&] { runner_->catch_up(); });
    take_values();
  }

  void take_values() {
    int64_t images = 0;
    for (const StepValues& values : runner_->take()) {
      log_.add(values);
      images += values.images;
    }
    if (images > 0) rate_.add(images);
  }

  /// Calls work(); numbers that it finds not finite end the run.
  template <class Work>
  void checked(Work&& work) {
    try {
      work();
    } catch (const CheckFailed& error) {
      fail(error.what());
    }
  }

  bool epoch_done() const { return state_.cursor == loader_.batches_per_epoch(); }
  bool is_line_due() const { return epoch_done() || state_.step % recipe_.train.log_every == 0; }

  double lr_at(int64_t step) const { return recipe_.train.lr * schedule_(step, steps_); }
  /// Of the last step done.
  double last_lr() const { return lr_at(std::max<int64_t>(state_.step - 1, 0)); }

  /// Lines, checkpoints and stopping, at a step boundary.
  void after_step() {
    if (is_line_due()) log_steps();
    if (is_line_due() && !memory_told_) report_memory();
    // What it counts does not outlive the process.
    if (epoch_done()) emit(health_report(*student_));
    const int64_t every = recipe_.train.checkpoint_every;
    if (every > 0 && state_.step % every == 0 && !epoch_done()) save();
    stop_if_asked();
  }

  void evaluate_test() {
    bool stopped = false;
    EvaluateOptions options;
    options.batch = recipe_.train.eval_batch;
    options.resident = resident_test_ ? &*resident_test_ : nullptr;
    Rate rate;
    rate.add(0);
    options.on_batch = [&](const data::Batch& batch, const Tensor&, int64_t done) {
      rate.add(batch.size());
      report_evaluation(done, rate.images_per_s());
      stopped = !stop_request().empty();
      return !stopped;
    };
    test_metrics_ = evaluate(*student_, *test_, options);
    // The epoch's evaluation is done again, whole, when the run goes on.
    if (stopped) stop_if_asked();
  }

  void finish_epoch() {
    const Metrics& test = test_metrics_;
    if (!std::isfinite(test.loss))
      fail(fmt::format("step {} (epoch {}): the loss on the test set is {}", state_.step,
                       state_.epoch, test.loss));
    emit("eval", {{"loss", test.loss},
                  {"top1", test.top1},
                  {"images", test.images},
                  {"train_loss", log_.epoch_loss()},
                  {"train_top1", log_.epoch_top1()},
                  {"images_per_s", test.images_per_s}});
    folder_->summary(
        kSummaryHeader,
        fmt::format("{},{},{},{},{},{},{},{:.1f},{:.3f}", state_.epoch, state_.step,
                    log_.epoch_loss(), log_.epoch_top1(), test.loss, test.top1, last_lr(),
                    trained_in_epoch_.images_per_s(), trained_in_epoch_.seconds));
    if (test.top1 > state_.best_top1) {
      state_.best_top1 = test.top1;
      state_.best_step = state_.step;
    }
    log_.start_epoch();
    ++state_.epoch;
    state_.cursor = 0;
    save();
    if (state_.epoch < recipe_.train.epochs) stop_if_asked();
  }

  void report_memory() {
    memory_told_ = true;
    if (options_.device.is_cpu()) return;
    emit(memory_report(networks_, runner_->graph_memory(), options_.device));
  }

  void save() {
    catch_up();
    state_.sums = log_.sums();
    folder_->note_lengths(state_);
    std::string path;
    try {
      path = folder_->checkpoints().save(
          state_, [&](const std::string& folder) { return networks_.write(folder); });
    } catch (const CheckFailed& error) {
      fail(fmt::format("step {} (epoch {}): {}", state_.step, state_.epoch, error.what()));
    }
    saved_ = position();
    emit("checkpoint", {{"path", path}});
  }

  std::pair<int64_t, data::Cursor> position() const {
    return {state_.step, {state_.epoch, state_.cursor}};
  }

  std::string stop_request() const {
    return options_.stop_requested ? options_.stop_requested() : "";
  }

  void stop_if_asked() {
    const std::string reason = stop_request();
    if (reason.empty()) return;
    if (saved_ != position()) save();
    const std::string path = folder_->checkpoints().last();
    emit("stopped", {{"reason", reason}, {"checkpoint", path}});
    throw Stopped(fmt::format("{} at step {} (epoch {})", reason, state_.step, state_.epoch), path);
  }

  [[noreturn]] void fail(const std::string& what) {
    const std::string last = folder_->checkpoints().last();
    const std::string good =
        last.empty() ? "there is no checkpoint yet" : "the last good checkpoint is " + last;
    emit("failed", {{"problem", what}});
    throw CheckFailed(what + "; " + good);
  }

  Event event_of(const std::string& kind) const {
    return {.kind = kind, .step = state_.step, .epoch = state_.epoch, .fields = {}};
  }
  void emit(const Report& report) {
    for (const auto& [kind, fields] : report) emit(kind, fields);
  }
  void emit(const std::string& kind, Fields fields) {
    Event event = event_of(kind);
    event.fields = std::move(fields);
    emit(event);
  }
  void emit(const Event& event) {
    folder_->log(event);
    if (options_.listener.on_event) options_.listener.on_event(event);
  }

  void log_steps() {
    const Event event = log_.take(state_.step, state_.epoch, last_lr());
    if (!event.kind.empty()) emit(event);
  }

  void report_progress() {
    if (!options_.listener.on_progress) return;
    const double rate = rate_.images_per_s();
    const double images_left = double(steps_ - state_.step) * double(recipe_.train.batch);
    options_.listener.on_progress({.phase = "train",
                                   .epoch = state_.epoch,
                                   .epochs = recipe_.train.epochs,
                                   .step = state_.step,
                                   .steps = steps_,
                                   .loss = runner_->last_loss(),
                                   .lr = last_lr(),
                                   .images_per_s = rate,
                                   .seconds_left = rate > 0 ? images_left / rate : 0});
  }

  void report_evaluation(int64_t images, double rate) {
    if (!options_.listener.on_progress) return;
    const double left = double(test_->count - images);
    options_.listener.on_progress({.phase = "eval",
                                   .epoch = std::min(state_.epoch, recipe_.train.epochs - 1),
                                   .epochs = recipe_.train.epochs,
                                   .step = images,
                                   .steps = test_->count,
                                   .images_per_s = rate,
                                   .seconds_left = rate > 0 ? left / rate : 0});
  }

  Recipe recipe_;
  TrainerOptions options_;
  std::shared_ptr<nn::TensorModule> student_;
  std::shared_ptr<const data::ImageSet> test_;
  std::optional<data::ResidentSet> resident_test_;
  std::unique_ptr<Method> method_;
  TrainingState networks_;
  data::Loader loader_;
  nn::Schedule schedule_;
  int64_t steps_;
  std::optional<RunFolder> folder_;
  RunState state_;
  std::optional<data::Draft> next_;  ///< of the step to come, where it is known
  std::optional<StepRunner> runner_;
  StepLog log_;
  Rate rate_;
  bool memory_told_ = false;
  std::pair<int64_t, data::Cursor> saved_{-1, {}};
  Metrics test_metrics_;
  TrainingTime trained_, trained_in_epoch_;  ///< of this process
};

}  // namespace

data::LoaderOptions loader_options(const Recipe& recipe) {
  return {.batch = recipe.train.batch,
          .shuffle = true,
          .augmentation = data::augmentation(recipe.data.augment),
          .seed = uint64_t(recipe.train.seed),
          .workers = int(recipe.train.workers),
          .resident = recipe.data.resident};
}

TrainResult train(const TrainerParts& parts, const TrainerOptions& options) {
  for (const auto& network : {parts.student, parts.teacher})
    if (network) network->to(options.device);
  return Trainer(parts, options).run();
}

}  // namespace apprentice::distill
