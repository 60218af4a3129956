#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <apprentice/base/registry.h>

namespace apprentice::nn {

/// Factor on the learning rate at `step` of `total_steps`, 0 <= step < total_steps. A pure
/// function, so that a resumed run needs no state.
using Schedule = std::function<double(int64_t step, int64_t total_steps)>;

struct ScheduleOptions {
  std::vector<double> milestones{0.5,
                                 0.75};  ///< "step": fractions of the run, ascending, in (0, 1)
  double gamma = 0.1;                    ///< "step": factor at each milestone
  double last = 0;                       ///< "cosine", "linear": factor that the end tends to
  int64_t warmup_steps = 0;              ///< any: linear rise before it
};

/// "constant": 1
/// "step":     gamma^(milestones reached), one being reached at step >= milestone * total_steps
/// "linear":   1 + (last - 1) step / total_steps
/// "cosine":   last + (1 - last) (1 + cos(pi step / total_steps)) / 2 (Loshchilov and Hutter 2017,
/// eq. 5)
Registry<std::function<Schedule(const ScheduleOptions&)>>& schedules();
/// (step + 1) / (warmup_steps + 1) times the start of `then`, for warmup_steps steps, then `then`
/// over the rest.
Schedule warm_up(int64_t warmup_steps, Schedule then);
/// The named schedule behind its warm-up. ConfigError if the name is unknown (naming the nearest)
/// or an option makes no sense.
Schedule make_schedule(const std::string& name, const ScheduleOptions& options = {});

}  // namespace apprentice::nn
