#include <apprentice/tools/roofline.h>

#include <omp.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <deque>
#include <map>
#include <utility>
#include <vector>

#include <apprentice/base/buffer.h>
#include <apprentice/base/cpu.h>
#include <apprentice/tools/roofline_loops_internal.h>

namespace apprentice::tools {
namespace {

constexpr int kRepetitions = 7;
constexpr double kLoopSeconds = 0.01;
constexpr int64_t kLeastBytes = 4096, kMostBytes = int64_t(256) << 20;

const RooflineLoops* loops() {
#if APPRENTICE_X86
  if (cpu_features().avx512_vnni) return &vnni::roofline_loops;
  if (cpu_features().avx2) return &avx2::roofline_loops;
#endif
  return nullptr;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

/// Work a second of all threads at once; run(thread) returns work. The median of some repetitions,
/// each as slow as its slowest thread.
template <class Run>
double rate(Run run) {
  std::vector<double> rates;
  for (int i = 0; i < kRepetitions; ++i) {
    double slowest = 0, work = 0;
#pragma omp parallel reduction(max : slowest) reduction(+ : work)
    {
#pragma omp barrier
      const auto start = std::chrono::steady_clock::now();
      work = run(omp_get_thread_num());
      slowest = seconds_since(start);
    }
    rates.push_back(work / slowest);
  }
  std::nth_element(rates.begin(), rates.begin() + kRepetitions / 2, rates.end());
  return rates[kRepetitions / 2];
}

/// The figure of `key` with the threads in use.
template <class Measure>
double kept(std::map<std::pair<int, int64_t>, double>& known, int64_t key, Measure measure) {
  const auto [it, is_new] = known.try_emplace({omp_get_max_threads(), key}, 0);
  if (is_new) it->second = measure();
  return it->second;
}

double measure_operations(int64_t (*loop)(int64_t)) {
  int64_t rounds = 1000;
  for (;; rounds *= 2) {  // long enough for the clock
    const auto start = std::chrono::steady_clock::now();
    loop(rounds);
    if (seconds_since(start) >= kLoopSeconds) break;
  }
  return rate([&](int) { return double(loop(rounds)); });
}

double measure_bandwidth(const RooflineLoops& l, int64_t bytes) {
  const int threads = omp_get_max_threads();
  const int64_t part = std::max<int64_t>(bytes / threads / 512 * 512, 512);
  const int64_t passes = std::max<int64_t>(2, (int64_t(64) << 20) / bytes);
  std::deque<Buffer> memory;
  for (int i = 0; i < threads; ++i) {
    // Pages that nobody wrote would all be the system's one page of zeros.
    std::memset(memory.emplace_back(size_t(part)).data(), 1, size_t(part));
  }
  return rate([&](int thread) {
    const void* at = memory[size_t(thread)].data();
    for (int64_t i = 0; i < passes; ++i) l.read(at, part);
    return double(part * passes);
  });
}

}  // namespace

double peak_operations(Arithmetic arithmetic) {
  static std::map<std::pair<int, int64_t>, double> known;
  const RooflineLoops* l = loops();
  if (!l) return 0;
  const auto loop = arithmetic == Arithmetic::int8 ? l->int8 : l->f32;
  return kept(known, int64_t(arithmetic), [&] { return measure_operations(loop); });
}

double peak_bandwidth(double bytes) {
  static std::map<std::pair<int, int64_t>, double> known;
  const RooflineLoops* l = loops();
  if (!l) return 0;
  const int64_t size = std::clamp(int64_t(bytes), kLeastBytes, kMostBytes);
  return kept(known, size, [&] { return measure_bandwidth(*l, size); });
}

double roofline_share(const BenchCase& c, double seconds) {
  const double operations = peak_operations(c.arithmetic), bandwidth = peak_bandwidth(c.bytes);
  if (operations == 0 || bandwidth == 0) return 0;
  return std::max(c.operations / operations, c.bytes / bandwidth) / seconds;
}

}  // namespace apprentice::tools
