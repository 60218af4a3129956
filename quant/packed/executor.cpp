#include <apprentice/packed/executor_internal.h>

#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include <apprentice/kernels/team.h>

namespace apprentice::packed {
namespace {

/// Bytes of activations that a layer should find in its core's second-level cache: half of it, the
/// rest is for weights.
int64_t activation_bytes() {
  static const int64_t bytes = [] {
    int64_t cache = 0;
#ifdef _SC_LEVEL2_CACHE_SIZE
    cache = sysconf(_SC_LEVEL2_CACHE_SIZE);
#endif
    return std::max<int64_t>(cache, 1 << 20) / 2;
  }();
  return bytes;
}

/// Runs with `count` threads; kernels ask OpenMP for their number.
class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(omp_get_max_threads()) {
    if (count != before_) omp_set_num_threads(count);
  }
  ~ThreadCount() {
    if (omp_get_max_threads() != before_) omp_set_num_threads(before_);
  }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

/// Adds what layers take to seconds[layer].
class HostClock final : public LayerClock {
 public:
  explicit HostClock(double* seconds) : seconds_(seconds) {}
  void begin(size_t) override { start_ = Clock::now(); }
  void end(size_t layer) override {
    seconds_[layer] += std::chrono::duration<double>(Clock::now() - start_).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  double* seconds_;
  Clock::time_point start_;
};

}  // namespace

void Executor::add(std::unique_ptr<Step> step, int x_of, int residual_of) {
  const int64_t image = x_of < 0 ? 0 : step->x.bytes();  // the caller's, read once
  const int64_t shortcut = residual_of < 0 ? 0 : step->residual.bytes();
  work_.push_back({x_of, residual_of, image + shortcut, step->y.bytes()});
  team_ = team_ && step->team;
  steps_.push_back(std::move(step));
}

Schedule Executor::schedule(int64_t images) const {
  if (device_.is_cpu())
    return make_schedule(work_, std::min(images, kChunkImages), activation_bytes());
  const int64_t image = std::max<int64_t>(make_schedule(work_, 1, 0).memory.bytes, 1);
  return make_schedule(work_, std::min(images, std::max<int64_t>(arena_bytes_ / image, 1)), 0);
}

void Executor::Arena::reserve(Schedule wanted, Device device) {
  memory.reset();
  schedule = {};
  memory = std::make_unique<Buffer>(size_t(std::max<int64_t>(wanted.memory.bytes, 1)), device);
  schedule = std::move(wanted);
}

void Executor::run(const Batch& batch, int threads) {
  if (!device_.is_cpu()) return run_on_device(batch);
  const ThreadCount count(threads);
  const int64_t n = batch.x.size(0);
  if (batch.trace) return run_traced(batch);
  const int workers = n < threads ? 1 : threads;
  const int64_t chunk = std::min(kChunkImages, (n + workers - 1) / workers);
  arenas_.resize(std::max(arenas_.size(), size_t(workers)));
  for (int i = 0; i < workers; ++i) {
    Arena& arena = arenas_[size_t(i)];
    if (arena.schedule.images < chunk) arena.reserve(schedule(chunk), device_);
  }
  if (workers > 1) return run_apart(batch, workers, chunk);
  run_together(batch, team_ && !omp_in_parallel() ? threads : 1, chunk);
}

/// One after the other, all threads at each layer.
void Executor::run_together(const Batch& batch, int threads, int64_t chunk) const {
  const int64_t n = batch.x.size(0);
  HostClock clock(batch.seconds ? batch.seconds->data() : nullptr);
  const auto run_all = [&](bool timed) {
    for (int64_t first = 0; first < n; first += chunk) {
      run_chunk(arenas_[0], batch, first, std::min(chunk, n - first), timed ? &clock : nullptr);
    }
  };
  const bool timed = batch.seconds != nullptr;
  if (threads == 1) return run_all(timed);
#pragma omp parallel num_threads(threads)
  {
    const kernels::TeamMember member({omp_get_thread_num(), omp_get_num_threads()});
    run_all(timed && omp_get_thread_num() == 0);
  }
}

/// No parallel region here: a trace may throw, and takes layer by layer.
void Executor::run_traced(const Batch& batch) {
  const int64_t n = batch.x.size(0), chunk = std::min(n, kTraceImages);
  if (traced_.schedule.images < chunk) traced_.reserve(make_schedule(work_, chunk, 0), device_);
  for (int64_t first = 0; first < n; first += chunk) {
    run_chunk(traced_, batch, first, std::min(chunk, n - first), nullptr);
  }
}

void Executor::run_apart(const Batch& batch, int threads, int64_t chunk) {
  const int64_t n = batch.x.size(0);
  const size_t layers = steps_.size();
  std::vector<double> seconds(batch.seconds ? size_t(threads) * layers : 0);
#pragma omp parallel for schedule(dynamic) num_threads(threads)
  for (int64_t first = 0; first < n; first += chunk) {
    const auto own = size_t(omp_get_thread_num());
    HostClock clock(seconds.data() + (seconds.empty() ? 0 : own * layers));
    run_chunk(arenas_[own], batch, first, std::min(chunk, n - first),
              seconds.empty() ? nullptr : &clock);
  }
  for (size_t i = 0; i < seconds.size(); ++i) (*batch.seconds)[i % layers] += seconds[i];
}

void Executor::run_chunk(const Arena& arena, const Batch& batch, int64_t first, int64_t images,
                         LayerClock* clock) const {
  const Schedule& plan = arena.schedule;
  auto* const memory = static_cast<char*>(arena.memory->data());
  auto* const image = const_cast<float*>(batch.x.data);
  const int64_t image_size = batch.x.size(1) * batch.x.size(2) * batch.x.size(3);
  // What layer `maker` makes of image `at` of this chunk.
  const auto place = [&](int maker, int64_t at) -> void* {
    if (maker < 0) return image + (first + at) * image_size;
    const auto m = size_t(maker);
    return memory + plan.memory.offset[m] + (plan.whole[m] ? at * work_[m].writes : 0);
  };
  for (const Segment& segment : plan.segments) {
    for (int64_t at = 0; at < images; at += segment.images) {
      for (size_t i = segment.begin; i < segment.end; ++i) {
        if (clock) clock->begin(i);
        Chunk chunk;
        chunk.first = batch.first_image + first + at;
        chunk.images = std::min(segment.images, images - at);
        chunk.x = place(work_[i].x, at);
        if (work_[i].residual >= 0) chunk.residual = place(work_[i].residual, at);
        const bool last = i + 1 == steps_.size();
        chunk.y =
            last ? batch.logits.data + (first + at) * batch.logits.size(1) : place(int(i), at);
        chunk.stream = batch.stream;
        chunk.trace = batch.trace;
        steps_[i]->run(chunk);
        if (clock) clock->end(i);
      }
    }
  }
}

}  // namespace apprentice::packed
