#include <apprentice/tools/benchmark.h>

#include <sys/resource.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <sstream>

#include <apprentice/base/stream.h>

namespace apprentice::tools {
namespace {

/// Larger than the last-level cache share of a core on current machines.
constexpr size_t kFlushBytes = 64u << 20;

void flush_caches() {
  static std::vector<char> memory(kFlushBytes);
  for (size_t i = 0; i < memory.size(); i += 64) ++memory[i];
}

/// Adds the seconds of each run.
void sample(const std::function<void()>& run, double seconds, int64_t least, bool flush,
            std::vector<double>& times) {
  using Clock = std::chrono::steady_clock;
  const auto since = [](Clock::time_point t) {
    return std::chrono::duration<double>(Clock::now() - t).count();
  };
  const auto begin = Clock::now();
  for (int64_t i = 0; i < least || since(begin) < seconds; ++i) {
    if (flush) flush_caches();
    const auto start = Clock::now();
    run();
    times.push_back(since(start));
  }
}

Timing timing_of(std::vector<double> times) {
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front(), times.back(), int64_t(times.size())};
}

BenchShape parse_line(const std::string& line, const std::string& where) {
  std::istringstream words(line);
  BenchShape shape;
  words >> shape.op;
  for (std::string word; words >> word;) {
    const size_t equal = word.find('=');
    int64_t value = 0;
    const char *begin = word.data() + equal + 1, *end = word.data() + word.size();
    const bool good = equal != std::string::npos && equal > 0 &&
                      std::from_chars(begin, end, value) == std::from_chars_result{end, {}} &&
                      value >= 0;
    check<ConfigError>(good, "{}: '{}' is no NAME=NUMBER", where, word);
    shape.sizes[word.substr(0, equal)] = value;
    shape.text += (shape.text.empty() ? "" : " ") + word;
  }
  return shape;
}

}  // namespace

int64_t BenchShape::at(const std::string& size) const {
  const auto it = sizes.find(size);
  check<ConfigError>(it != sizes.end(), "shape '{} {}': {}= is missing", op, text, size);
  return it->second;
}

std::vector<BenchShape> parse_shapes(const std::string& text, const std::string& name) {
  std::vector<BenchShape> shapes;
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    line = line.substr(0, line.find('#'));
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    shapes.push_back(parse_line(line, fmt::format("{}:{}", name, number)));
  }
  return shapes;
}

Registry<Benchmark>& benchmarks() {
  static Registry<Benchmark> all("benchmark");
  return all;
}

Timing time_runs(const std::function<void()>& run, double seconds, int64_t least, bool flush) {
  run();
  std::vector<double> times;
  sample(run, seconds, least, flush, times);
  return timing_of(std::move(times));
}

Timing time_on_device(const std::function<void()>& run, Device device, double seconds,
                      int64_t least) {
  StreamEvent begin(device), end(device);
  std::vector<double> times;
  const auto once = [&] {
    const Stream stream = current_stream(device);
    begin.record(stream);
    run();
    end.record(stream);
    synchronize(stream);
    times.push_back(end.milliseconds_since(begin) * 1e-3);
  };
  time_runs(once, seconds, least, false);
  times.erase(times.begin());  // the warm-up
  return timing_of(std::move(times));
}

std::vector<Timing> time_in_turn(const std::vector<std::function<void()>>& runs, double seconds,
                                 bool flush) {
  constexpr int kRounds = 5;
  std::vector<std::vector<double>> times(runs.size());
  for (int round = 0; round < kRounds; ++round) {
    for (size_t i = 0; i < runs.size(); ++i) {
      runs[i]();
      sample(runs[i], seconds / kRounds, 1, flush, times[i]);
    }
  }
  std::vector<Timing> all;
  for (auto& own : times) all.push_back(timing_of(std::move(own)));
  return all;
}

int64_t peak_rss_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t(usage.ru_maxrss) * 1024;
}

}  // namespace apprentice::tools
