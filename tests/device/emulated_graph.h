#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/kernels/simt/emulator.h>

#include "test_device.h"

namespace apprentice {

/// Recorded work of several streams: each in its order, and after the events that it waits for.
class EmulatedGraph {
 public:
  /// Of `stream`, what comes from `at` on runs after what `other` had before its work number
  /// `until`. Numbers count the works of all streams.
  struct Wait {
    void* stream;
    size_t at;
    void* other;
    size_t until;
  };
  EmulatedGraph(std::vector<simt::emu::RecordedWork> works, std::vector<Wait> waits);

  /// Calls `run` with each work, in that order.
  void run(GraphOrder order, const std::function<void(const std::function<void()>&)>& run) const;

 private:
  struct Queue {
    void* stream;
    std::vector<size_t> works;
    size_t done = 0;
    /// The number that it is at.
    size_t at() const { return done < works.size() ? works[done] : size_t(-1); }
  };
  bool is_ready(const Queue& queue, const std::vector<Queue>& all) const;

  std::vector<simt::emu::RecordedWork> works_;
  std::vector<Wait> waits_;
  std::vector<Queue> queues_;  ///< by their first work
};

inline EmulatedGraph::EmulatedGraph(std::vector<simt::emu::RecordedWork> works,
                                    std::vector<Wait> waits)
    : works_(std::move(works)), waits_(std::move(waits)) {
  for (size_t i = 0; i < works_.size(); ++i) {
    auto at = std::find_if(queues_.begin(), queues_.end(),
                           [&](const Queue& q) { return q.stream == works_[i].stream; });
    if (at == queues_.end()) at = queues_.insert(at, {works_[i].stream, {}});
    at->works.push_back(i);
  }
}

inline bool EmulatedGraph::is_ready(const Queue& queue, const std::vector<Queue>& all) const {
  if (queue.done == queue.works.size()) return false;
  return std::all_of(waits_.begin(), waits_.end(), [&](const Wait& wait) {
    if (wait.stream != queue.stream || wait.at > queue.at()) return true;
    return std::all_of(all.begin(), all.end(), [&](const Queue& other) {
      return other.stream != wait.other || other.at() >= wait.until;
    });
  });
}

inline void EmulatedGraph::run(GraphOrder order,
                               const std::function<void(const std::function<void()>&)>& run) const {
  if (order == GraphOrder::given) {
    for (const auto& work : works_) run(work.run);
    return;
  }
  std::vector<Queue> queues = queues_;
  if (order == GraphOrder::last_stream_first) std::reverse(queues.begin(), queues.end());
  for (size_t left = works_.size(); left > 0; --left) {
    const auto next = std::find_if(queues.begin(), queues.end(),
                                   [&](const Queue& queue) { return is_ready(queue, queues); });
    check(next != queues.end(), "graph: its streams wait for each other");
    run(works_[next->works[next->done++]].run);
    if (order == GraphOrder::in_turn) std::rotate(queues.begin(), next + 1, queues.end());
  }
}

}  // namespace apprentice
