#pragma once

#include <memory>
#include <optional>

#include <apprentice/data/augment.h>
#include <apprentice/data/batch.h>
#include <apprentice/data/dataset.h>
#include <apprentice/data/sampler.h>

namespace apprentice::data {

struct LoaderOptions {
  int64_t batch = 128;
  bool shuffle = false;
  bool drop_last = false;
  Augmentation augmentation{};
  uint64_t seed = 0;
  /// Threads that prepare batches ahead; 0: next() prepares its batch itself.
  int workers = 0;
  /// Batches that are held ready at most, those under preparation included.
  int prefetch = 4;
  /// Where batches lie: x and labels. next() gives it work in its current stream and does not wait.
  Device device{};
  /// On another device than the CPU: does the whole set lie there, too, so that the device itself
  /// makes the batches (resident_set.h), with no workers? Else they are made here and copied.
  bool resident = true;
};

/// Gives the batches of a set, epoch by epoch. The batches, and their order, are a pure function of
/// (set, options other than workers, prefetch, device and resident, epoch): the same for any number
/// of workers and after a resume.
///
///   loader.start(epoch);
///   while (auto batch = loader.next()) ...
class Loader {
 public:
  /// Error if the batch is not positive or workers or prefetch make no sense; DeviceError if the
  /// device is not there or has no room for a resident set.
  Loader(std::shared_ptr<const ImageSet> set, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  const ImageSet& set() const;
  int64_t batches_per_epoch() const;
  /// Goes to the beginning of `epoch`, or to a batch in its midst; what was prepared is dropped.
  void start(int64_t epoch, int64_t first_batch = 0);
  void start(const Cursor& cursor) { start(cursor.epoch, cursor.batch); }
  /// The next batch, or nothing at the end of the epoch (and before the first start()). An error in
  /// a worker is thrown here, in its batch's turn.
  std::optional<Batch> next();
  /// next() in two halves. The first gives its device what the batch is made from; the second makes
  /// it there in the current stream, of any draft of this loader, and may be recorded
  /// (base/graph.h): then launches make whatever batch lies in the draft's memory.
  std::optional<Draft> next_draft();
  Batch make(const Draft& draft) const;
  /// Where next() will go on: save it, start() there later. After the last batch of an epoch it is
  /// the beginning of the next.
  Cursor cursor() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace apprentice::data
