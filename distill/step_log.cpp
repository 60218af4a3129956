#include <algorithm>

#include <apprentice/distill/step_log_internal.h>

namespace apprentice::distill {

namespace {

// Prefixes in the map of sums; a term's name follows "line.term.".
constexpr const char* kLine = "line.";
constexpr const char* kTerm = "line.term.";
constexpr const char* kEpoch = "epoch.";

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void erase_prefix(std::map<std::string, double>& sums, const std::string& prefix) {
  std::erase_if(sums, [&](const auto& entry) { return entry.first.rfind(prefix, 0) == 0; });
}

}  // namespace

double StepLog::sum(const std::string& name) const {
  const auto it = sums_.find(name);
  return it == sums_.end() ? 0 : it->second;
}

void StepLog::add(const StepValues& values) {
  const double n = double(values.images), loss = values.loss * n;
  for (const std::string prefix : {kLine, kEpoch}) {
    sums_[prefix + "loss"] += loss;
    sums_[prefix + "correct"] += values.correct;
    sums_[prefix + "images"] += n;
  }
  for (const auto& [name, value] : values.terms) sums_[kTerm + name] += value * n;
  timed_images_ += values.images;
}

Event StepLog::take(int64_t step, int64_t epoch, double lr) {
  Event event{.kind = "", .step = step, .epoch = epoch, .fields = {}};
  const double images = sum("line.images");
  if (images == 0) return event;
  event.kind = "train";
  event.fields.emplace_back("loss", sum("line.loss") / images);
  for (const auto& [name, value] : sums_)
    if (name.rfind(kTerm, 0) == 0)
      event.fields.emplace_back("loss_" + name.substr(std::string(kTerm).size()), value / images);
  event.fields.emplace_back("top1", 100 * sum("line.correct") / images);
  event.fields.emplace_back("lr", lr);
  event.fields.emplace_back("images_per_s",
                            double(timed_images_) / std::max(seconds_since(since_), 1e-9));
  erase_prefix(sums_, kLine);
  restart_clock();
  return event;
}

double StepLog::epoch_loss() const {
  return sum("epoch.loss") / std::max(sum("epoch.images"), 1.0);
}

double StepLog::epoch_top1() const {
  return 100 * sum("epoch.correct") / std::max(sum("epoch.images"), 1.0);
}

void StepLog::start_epoch() { erase_prefix(sums_, kEpoch); }

void StepLog::restart_clock() {
  since_ = std::chrono::steady_clock::now();
  timed_images_ = 0;
}

void Rate::add(int64_t images) {
  constexpr double kKept = 0.9;
  const auto now = std::chrono::steady_clock::now();
  if (running_ && images > 0) {
    const double seconds = std::chrono::duration<double>(now - last_).count() / double(images);
    seconds_per_image_ =
        seconds_per_image_ == 0 ? seconds : kKept * seconds_per_image_ + (1 - kKept) * seconds;
  }
  last_ = now;
  running_ = true;
}

}  // namespace apprentice::distill
