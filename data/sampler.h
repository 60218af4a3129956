#pragma once

#include <cstdint>
#include <utility>
#include <vector>

namespace apprentice::data {

/// A place in a run: batch `batch` of epoch `epoch` comes next. Kept in checkpoints.
struct Cursor {
  int64_t epoch = 0, batch = 0;
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

/// Cuts a set into batches, in order or shuffled anew each epoch.
class Sampler {
 public:
  struct Options {
    int64_t batch = 128;
    bool shuffle = false;
    bool drop_last = false;  ///< leave out a last batch that is not full
    uint64_t seed = 0;
  };
  /// Error unless count >= 0 and batch > 0.
  Sampler(int64_t count, Options options);

  int64_t batches_per_epoch() const;
  /// All ids in the order of `epoch`: 0, 1, ... or a permutation (Fisher-Yates) that is a pure
  /// function of (seed, epoch).
  std::vector<int64_t> order(int64_t epoch) const;
  /// [begin, end) of batch `index` in that order.
  std::pair<int64_t, int64_t> range(int64_t index) const;

 private:
  int64_t count_;
  Options options_;
};

}  // namespace apprentice::data
