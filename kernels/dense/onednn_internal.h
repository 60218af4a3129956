#pragma once

#include <omp.h>

#include <array>
#include <dnnl.hpp>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include <apprentice/base/buffer.h>

namespace apprentice::kernels::onednn {

inline const dnnl::engine& engine() {
  static const dnnl::engine one(dnnl::engine::kind::cpu, 0);
  return one;
}

/// A stream for each calling thread; work is done when execute() returns.
inline dnnl::stream& stream() {
  static thread_local dnnl::stream one(engine());
  return one;
}

/// Memory that a thread keeps for one purpose (`Tag`) and that grows to the largest request.
template <class Tag>
void* workspace(size_t bytes) {
  static thread_local std::unique_ptr<Buffer> kept;
  if (!kept || kept->bytes() < bytes) {
    kept.reset();
    kept = std::make_unique<Buffer>(bytes);
  }
  return kept->data();
}

/// Wraps memory of ours; oneDNN does not write to what it only reads.
inline dnnl::memory wrap(const dnnl::memory::desc& desc, const void* data) {
  return dnnl::memory(desc, engine(), const_cast<void*>(data));
}

struct ScratchTag {};
/// Runs a primitive whose scratchpad is the caller's; it can then run on many threads at once.
inline void execute(const dnnl::primitive& primitive, const dnnl::memory::desc& scratch,
                    std::unordered_map<int, dnnl::memory> args) {
  if (scratch.get_size() > 0)
    args.emplace(DNNL_ARG_SCRATCHPAD, wrap(scratch, workspace<ScratchTag>(scratch.get_size())));
  primitive.execute(stream(), args);
}

/// Attributes under which execute() above works.
inline dnnl::primitive_attr attributes() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

/// One thread for what is started while it lives.
class OneThread {
 public:
  explicit OneThread(bool on) : before_(omp_get_max_threads()) {
    if (on) omp_set_num_threads(1);
  }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Weights up to this size are copied by one thread: 64 x 64 x 3 x 3 takes it 23 us, and waking a
/// second one 40.
constexpr size_t kSmallWeight = size_t(256) << 10;

/// Copies between our layout of a weight and the one that a primitive asked for.
struct Reorder {
  dnnl::memory::desc from, to, scratch;
  dnnl::reorder primitive;

  Reorder(const dnnl::memory::desc& from_desc, const dnnl::memory::desc& to_desc)
      : from(from_desc), to(to_desc) {
    const OneThread alone(to.get_size() <= kSmallWeight);
    const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, attributes());
    scratch = desc.scratchpad_desc();
    primitive = dnnl::reorder(desc);
  }
  void run(const void* x, void* y) const {
    const OneThread alone(to.get_size() <= kSmallWeight);
    execute(primitive, scratch, {{DNNL_ARG_FROM, wrap(from, x)}, {DNNL_ARG_TO, wrap(to, y)}});
  }
};

/// What a primitive is made for: sizes, geometry, flags and the number of threads.
using Key = std::array<int64_t, 24>;
struct KeyHash {
  size_t operator()(const Key& key) const {
    size_t hash = 14695981039346656037u;
    for (int64_t v : key) hash = (hash ^ size_t(v)) * 1099511628211u;
    return hash;
  }
};

/// Prepared problems of one kind, made once each and kept: making one compiles code (milliseconds).
template <class Problem>
class Cache {
 public:
  template <class Make>
  std::shared_ptr<const Problem> get(const Key& key, Make make) {
    std::lock_guard lock(mutex_);
    auto& slot = problems_[key];
    if (!slot) slot = std::make_shared<const Problem>(make());
    return slot;
  }

 private:
  std::mutex mutex_;
  std::unordered_map<Key, std::shared_ptr<const Problem>, KeyHash> problems_;
};

}  // namespace apprentice::kernels::onednn
