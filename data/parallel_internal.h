#pragma once

#include <omp.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace apprentice::data {

/// Calls body(begin, end) for blocks of at most `grain` of [0, n) on omp_get_max_threads() threads
/// and rethrows the first exception. Own threads, not OpenMP's: exceptions may leave `body`, and
/// ThreadSanitizer understands them.
template <class Body>
void parallel_blocks(int64_t n, int64_t grain, const Body& body) {
  std::atomic<int64_t> next{0};
  std::mutex mutex;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      for (int64_t begin; (begin = next.fetch_add(grain)) < n;) {
        body(begin, std::min(begin + grain, n));
      }
    } catch (...) {
      next = n;
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
    }
  };
  const int64_t threads = std::min<int64_t>(omp_get_max_threads(), (n + grain - 1) / grain);
  std::vector<std::jthread> others;
  for (int64_t i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  others.clear();
  if (error) std::rethrow_exception(error);
}

}  // namespace apprentice::data
