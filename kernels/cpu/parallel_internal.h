#pragma once

#include <omp.h>

#include <cstdint>

namespace apprentice::kernels {

/// fn(task) for the tasks [0, count), on all cores. Where there is one task or one thread, or a
/// parallel region around, the calling thread does it without asking OpenMP for a team: that takes
/// a quarter of a microsecond, and a small layer two.
template <class Fn>
void for_each_task(int64_t count, Fn fn) {
  if (count < 2 || omp_get_max_threads() == 1 || omp_in_parallel()) {
    for (int64_t task = 0; task < count; ++task) fn(task);
    return;
  }
#pragma omp parallel for
  for (int64_t task = 0; task < count; ++task) fn(task);
}

}  // namespace apprentice::kernels
