#pragma once

#include <omp.h>

#include <cstdint>

#include <apprentice/kernels/team.h>

namespace apprentice::kernels {

/// fn(task) for the tasks [0, count), shared by task_threads() threads unless `alone`. A kernel
/// that leaves all of its work and its memory for tasks to this may be marked `team`. One thread
/// does it without asking OpenMP for a team: that takes a quarter of a microsecond, and a small
/// layer two.
template <class Fn>
void for_each_task(int64_t count, Fn fn, bool alone = false) {
  const Team& team = this_team();
  if (team.size > 0) {
    const int64_t step = alone ? 1 : team.size;
    for (int64_t task = team.rank; task < count && (!alone || team.rank == 0); task += step) {
      fn(task);
    }
#pragma omp barrier
    return;
  }
  if (alone || count < 2 || task_threads() == 1) {
    for (int64_t task = 0; task < count; ++task) fn(task);
    return;
  }
#pragma omp parallel for
  for (int64_t task = 0; task < count; ++task) fn(task);
}

}  // namespace apprentice::kernels
