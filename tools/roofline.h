#pragma once

#include <string>

#include <apprentice/tools/benchmark.h>

namespace apprentice::tools {

/// What this machine can do at most with the threads in use (omp_get_max_threads()), measured by
/// loops of nothing but multiply-accumulates and by reading memory. Each figure is measured when it
/// is first asked for and kept.

/// Operations a second (2 x multiply-accumulates) of the widest instruction set at hand:
/// vpdpbusd or vpmaddubsw for int8, fused multiply-adds for f32. 0 where there is no such loop.
double peak_operations(Arithmetic arithmetic);
/// Bytes a second that can be read of a working set of `bytes`, which lies where repeated
/// reading leaves it: in a cache or in memory. 0 where there is no such loop.
double peak_bandwidth(double bytes);

/// The share of the roofline (Williams, Waterman, Patterson 2009) that was reached, 1 at most but
/// for noise, padding that is skipped and algorithms that save operations: the larger of operations
/// / peak_operations and bytes / peak_bandwidth, over the measured `seconds`. 0 where nothing is
/// known.
double roofline_share(const BenchCase& c, double seconds);

}  // namespace apprentice::tools
