#include <apprentice/nn/schedule.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include <apprentice/base/error.h>

namespace apprentice::nn {
namespace {

double fraction(int64_t step, int64_t total_steps) {
  return total_steps > 0 ? double(step) / double(total_steps) : 0;
}

Schedule make_constant(const ScheduleOptions&) {
  return [](int64_t, int64_t) { return 1.0; };
}

Schedule make_step(const ScheduleOptions& options) {
  const auto& marks = options.milestones;
  check<ConfigError>(std::is_sorted(marks.begin(), marks.end()),
                     "schedule: milestones must ascend");
  for (double mark : marks)
    check<ConfigError>(mark > 0 && mark < 1,
                       "schedule: milestone {} is not a fraction of the run between 0 and 1", mark);
  check<ConfigError>(options.gamma > 0, "schedule: gamma is {}, expected more than 0",
                     options.gamma);
  return [marks, gamma = options.gamma](int64_t step, int64_t total) {
    double factor = 1;
    for (double mark : marks)
      if (double(step) >= mark * double(total)) factor *= gamma;
    return factor;
  };
}

void check_last(double last) {
  check<ConfigError>(last >= 0, "schedule: last factor is {}, expected 0 or more", last);
}

Schedule make_linear(const ScheduleOptions& options) {
  check_last(options.last);
  return [last = options.last](int64_t step, int64_t total) {
    return 1 + (last - 1) * fraction(step, total);
  };
}

Schedule make_cosine(const ScheduleOptions& options) {
  check_last(options.last);
  return [last = options.last](int64_t step, int64_t total) {
    const double angle = std::numbers::pi * fraction(step, total);
    return last + (1 - last) * (1 + std::cos(angle)) / 2;
  };
}

}  // namespace

Registry<std::function<Schedule(const ScheduleOptions&)>>& schedules() {
  static auto registry = [] {
    Registry<std::function<Schedule(const ScheduleOptions&)>> all("schedule");
    all.add("constant", make_constant);
    all.add("step", make_step);
    all.add("linear", make_linear);
    all.add("cosine", make_cosine);
    return all;
  }();
  return registry;
}

Schedule warm_up(int64_t warmup_steps, Schedule then) {
  check<ConfigError>(warmup_steps >= 0, "schedule: {} warm-up steps, expected 0 or more",
                     warmup_steps);
  if (warmup_steps == 0) return then;
  return [warmup_steps, then = std::move(then)](int64_t step, int64_t total) {
    const int64_t rest = std::max<int64_t>(total - warmup_steps, 1);
    if (step >= warmup_steps) return then(step - warmup_steps, rest);
    return double(step + 1) / double(warmup_steps + 1) * then(0, rest);
  };
}

Schedule make_schedule(const std::string& name, const ScheduleOptions& options) {
  return warm_up(options.warmup_steps, schedules().get(name)(options));
}

}  // namespace apprentice::nn
