#include <apprentice/data/loader.h>

#include <omp.h>

#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include <apprentice/base/device_allocator.h>
#include <apprentice/base/error.h>
#include <apprentice/base/runtime.h>
#include <apprentice/data/resident_set.h>

namespace apprentice::data {

/// A batch has a slot from the moment a worker takes it up until next() hands it out; slots stand
/// in the order of the batches, so the order does not depend on who finishes first.
class Loader::Impl {
 public:
  Impl(std::shared_ptr<const ImageSet> set, LoaderOptions options)
      : set_(std::move(set)),
        options_(options),
        sampler_(set_->count, {.batch = options.batch,
                               .shuffle = options.shuffle,
                               .drop_last = options.drop_last,
                               .seed = options.seed}) {
    check<ConfigError>(options.workers >= 0, "loader: workers is {}, expected 0 or more",
                       options.workers);
    check<ConfigError>(options.prefetch > 0, "loader: prefetch is {}, expected 1 or more",
                       options.prefetch);
    require_device(options.device);
    if (!options.device.is_cpu() && options.resident) {
      resident_.emplace(set_, options.device);
      return;
    }
    for (int i = 0; i < options.workers; ++i) {
      workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
    }
  }

  const ImageSet& set() const { return *set_; }
  int64_t batches() const { return sampler_.batches_per_epoch(); }

  void start(int64_t epoch, int64_t first) {
    check(epoch >= 0 && first >= 0 && first <= batches(),
          "loader: got epoch {}, batch {}, expected a batch of 0 to {}", epoch, first, batches());
    auto order = std::make_shared<const std::vector<int64_t>>(sampler_.order(epoch));
    {
      std::lock_guard lock(mutex_);
      slots_.clear();
      order_ = std::move(order);
      cursor_ = {epoch, first};
      taken_ = first;
    }
    changed_.notify_all();
  }

  std::optional<Draft> next_draft() {
    const MemoryLabel label("batch");
    if (resident_) return next_request();
    const std::optional<Batch> batch = next_prepared();
    if (!batch) return std::nullopt;
    const Batch there = batch->to(options_.device);
    return Draft{.ids = there.ids,
                 .epoch = there.epoch,
                 .index = there.index,
                 .request = {},
                 .x = there.x,
                 .labels = there.labels};
  }

  Batch make(const Draft& draft) const {
    const MemoryLabel label("batch");
    Batch batch = resident_ ? resident_->make_requested(draft.request, options_.augmentation)
                            : Batch{.x = draft.x, .labels = draft.labels, .ids = {}};
    batch.ids = draft.ids;
    batch.epoch = draft.epoch;
    batch.index = draft.index;
    return batch;
  }

  Cursor cursor() const {
    if (cursor_.batch < batches()) return cursor_;
    return {cursor_.epoch + 1, 0};
  }

 private:
  struct Slot {
    Batch batch;
    std::exception_ptr error;
    bool done = false;
  };

  std::optional<Draft> next_request() {
    if (!order_ || cursor_.batch >= batches()) return std::nullopt;
    Draft draft{.ids = ids_of(*order_, cursor_.batch),
                .epoch = cursor_.epoch,
                .index = cursor_.batch,
                .request = {},
                .x = {},
                .labels = {}};
    draft.request = resident_->request(draft.ids, options_.seed, cursor_.epoch);
    ++cursor_.batch;
    return draft;
  }

  std::vector<int64_t> ids_of(const std::vector<int64_t>& order, int64_t batch) const {
    const auto [begin, end] = sampler_.range(batch);
    return {order.begin() + begin, order.begin() + end};
  }

  std::optional<Batch> next_prepared() {
    if (!order_ || cursor_.batch >= batches()) return std::nullopt;
    if (workers_.empty()) {
      Batch batch = prepare(*order_, cursor_);
      ++cursor_.batch;
      return batch;
    }
    std::shared_ptr<Slot> slot;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return !slots_.empty() && slots_.front()->done; });
      slot = std::move(slots_.front());
      slots_.pop_front();
      ++cursor_.batch;
    }
    changed_.notify_all();
    if (slot->error) std::rethrow_exception(slot->error);
    return std::move(slot->batch);
  }

  Batch prepare(const std::vector<int64_t>& order, Cursor at) const {
    Batch batch =
        make_batch(*set_, ids_of(order, at.batch), options_.augmentation, options_.seed, at.epoch);
    batch.index = at.batch;
    return batch;
  }

  bool wanted() const {
    return order_ && taken_ < batches() && slots_.size() < size_t(options_.prefetch);
  }

  void work(const std::stop_token& stop) {
    omp_set_num_threads(1);  // of this thread: the workers are the parallelism
    for (;;) {
      std::unique_lock lock(mutex_);
      if (!changed_.wait(lock, stop, [&] { return wanted(); }) || stop.stop_requested()) return;
      const auto slot = slots_.emplace_back(std::make_shared<Slot>());
      const auto order = order_;
      const Cursor at{cursor_.epoch, taken_++};
      lock.unlock();
      Batch batch;
      std::exception_ptr error;
      try {
        batch = prepare(*order, at);
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      slot->batch = std::move(batch);
      slot->error = error;
      slot->done = true;
      lock.unlock();
      changed_.notify_all();
    }
  }

  std::shared_ptr<const ImageSet> set_;
  LoaderOptions options_;
  Sampler sampler_;
  std::optional<ResidentSet> resident_;
  /// Guards what follows. Only the consumer writes order_ and cursor_, so it alone may read them
  /// without the lock.
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<std::shared_ptr<Slot>> slots_;
  std::shared_ptr<const std::vector<int64_t>> order_;
  Cursor cursor_;
  int64_t taken_ = 0;
  /// Last, so that the threads are joined before what they use is gone.
  std::vector<std::jthread> workers_;
};

Loader::Loader(std::shared_ptr<const ImageSet> set, LoaderOptions options) {
  check(set != nullptr, "loader: no data set");
  impl_ = std::make_unique<Impl>(std::move(set), options);
}
Loader::~Loader() = default;

const ImageSet& Loader::set() const { return impl_->set(); }
int64_t Loader::batches_per_epoch() const { return impl_->batches(); }
void Loader::start(int64_t epoch, int64_t first_batch) { impl_->start(epoch, first_batch); }
std::optional<Draft> Loader::next_draft() { return impl_->next_draft(); }
Batch Loader::make(const Draft& draft) const { return impl_->make(draft); }
std::optional<Batch> Loader::next() {
  const std::optional<Draft> draft = next_draft();
  return draft ? std::optional(make(*draft)) : std::nullopt;
}
Cursor Loader::cursor() const { return impl_->cursor(); }

}  // namespace apprentice::data
