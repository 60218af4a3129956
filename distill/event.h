#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace apprentice::distill {

/// Something worth telling. What happens in the training loop is also a line of log.jsonl: "train",
/// "eval", "quant", "checkpoint", "resumed", "stopped", "failed", "warning", "graph", "memory".
struct Event {
  using Value = std::variant<int64_t, double, std::string>;
  std::string kind;
  int64_t step = 0;   ///< optimizer steps done
  int64_t epoch = 0;  ///< counted from 0
  std::vector<std::pair<std::string, Value>> fields;
};

/// Where a run stands, after each step; for a bar or a plain line.
struct Progress {
  const char* phase = "train";  ///< "train", "eval", or "teacher" while its logits are stored
  int64_t epoch = 0, epochs = 0;
  int64_t step = 0, steps = 0;  ///< of the run; images in the other phases
  double loss = 0;              ///< of the last step that was looked at; NaN: of none yet
  double lr = 0;
  double images_per_s = 0;  ///< over the last steps
  double seconds_left = 0;  ///< to the end of the phase, at that rate
};

/// What a run tells while it goes on; the library itself prints nothing. Either may be empty.
struct Listener {
  std::function<void(const Event&)> on_event;
  std::function<void(const Progress&)> on_progress;
};

}  // namespace apprentice::distill
