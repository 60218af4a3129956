#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include <apprentice/base/device.h>
#include <apprentice/base/registry.h>

namespace apprentice::tools {

/// One line of a shape file: "conv2d n=128 h=32 w=32 in=16 out=16 kernel=3 stride=1 padding=1",
/// "gemm m=512 n=512 k=4096".
struct BenchShape {
  std::string op;  ///< "conv2d", "gemm"
  std::map<std::string, int64_t> sizes;
  std::string text;  ///< the line without the first word

  /// ConfigError naming the line if there is no such size.
  int64_t at(const std::string& size) const;
};
/// Lines of a shape file; '#' opens a comment. ConfigError naming file, line and word.
std::vector<BenchShape> parse_shapes(const std::string& text, const std::string& name);
/// The shape files in tools/bench/shapes, built into the program: text by stem.
const std::map<std::string, std::string>& builtin_shapes();

/// What multiplies: which peak of the machine counts.
enum class Arithmetic { int8, f32 };

/// One kernel on one shape, ready to run.
struct BenchCase {
  std::string kernel;
  Arithmetic arithmetic = Arithmetic::f32;
  double operations = 0;  ///< 2 x multiply-accumulates, padding counted
  double bytes = 0;       ///< read and written at least once
  bool peer = false;      ///< another library's, shown beside ours for comparison
  std::function<void()> run;
  /// Why the result of the last run() is wrong, or "".
  std::function<std::string()> verify;
  /// Why this kernel cannot run here; then run and verify are empty.
  std::string refusal;
};

/// How the kernels of one operation are timed. One file in tools/bench each; every kernel of the
/// operation's table is found, so a new kernel needs nothing here.
struct Benchmark {
  std::string op;  ///< the kind of shapes it takes
  /// Those of the kernels for that device, whose `run` gives work to its current stream.
  std::function<std::vector<BenchCase>(const BenchShape&, Device)> cases;
};
Registry<Benchmark>& benchmarks();

/// Times of repeated runs, in seconds.
struct Timing {
  double median = 0, min = 0, max = 0;
  int64_t runs = 0;
};
/// Warms up, then runs until `seconds` are over, at least `least` times. The caches are flushed
/// before each run if `flush`.
Timing time_runs(const std::function<void()>& run, double seconds, int64_t least, bool flush);
/// The same of work given to the current stream of a device other than the CPU, by the device's own
/// clock: each run is waited for before the next one.
Timing time_on_device(const std::function<void()>& run, Device device, double seconds,
                      int64_t least);
/// As time_runs, of several, in turn, so that what disturbs the machine meets all of them: five
/// rounds of a fifth of `seconds` each, at least one run a round. [i] belongs to runs[i].
std::vector<Timing> time_in_turn(const std::vector<std::function<void()>>& runs, double seconds,
                                 bool flush);

/// The largest resident memory of this process so far, in bytes.
int64_t peak_rss_bytes();

}  // namespace apprentice::tools
