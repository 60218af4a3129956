#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <apprentice/base/error.h>

/// The SIMT emulator as tests see it: how it runs kernels and what it counted. A block runs on one
/// OS thread, each of its threads is a fiber, and what a GPU leaves open (which thread goes first,
/// when an asynchronous copy arrives) is a setting. docs/emulator.md says what it detects and what
/// not.
namespace apprentice::simt::emu {

/// What a kernel did wrong; launch() throws it on the host and names the place and the thread.
struct Fault : Error {
  using Error::Error;
};

/// Which of the threads that can run goes on. greedy: one warp runs ahead as far as it can.
enum class Order { forward, reverse, random, greedy };
/// When asynchronous copies and wgmma take effect: as late as possible, at once, or either.
enum class Arrival { lazy, eager, random };

struct Settings {
  Order threads = Order::forward;
  Order blocks = Order::forward;  ///< greedy means forward
  Arrival arrival = Arrival::lazy;
  uint64_t seed = 1;
  unsigned workers = 1;  ///< OS threads that run blocks; the access checker has one
  size_t shared_limit = 227 * 1024;
  size_t stack_bytes = 64 * 1024;
};
/// Starts from the environment: APPRENTICE_SIMT_ORDER (forward, reverse, random, greedy),
/// APPRENTICE_SIMT_ARRIVAL (lazy, eager, random), APPRENTICE_SIMT_SEED, APPRENTICE_SIMT_WORKERS.
/// The order is that of threads and blocks. ConfigError for any other value.
Settings& settings();

/// Changes settings for as long as it lives.
class WithSettings {
 public:
  explicit WithSettings(const Settings& wanted) : before_(settings()) { settings() = wanted; }
  WithSettings(Order threads, Arrival arrival) : before_(settings()) {
    settings().threads = threads;
    settings().arrival = arrival;
  }
  ~WithSettings() { settings() = before_; }
  WithSettings(const WithSettings&) = delete;

 private:
  Settings before_;
};

/// What the last launch did.
struct Statistics {
  uint64_t blocks = 0, switches = 0, barriers = 0, collectives = 0, products = 0;
  // Only with the access checker. A request is one instruction of one warp; it is served in
  // wavefronts (shared memory, 32 banks of 4 bytes) or 32-byte sectors (global memory); ideal is
  // what its bytes need at least.
  uint64_t shared_requests = 0, shared_wavefronts = 0, shared_ideal = 0;
  uint64_t global_requests = 0, global_sectors = 0, global_ideal = 0;

  Statistics& operator+=(const Statistics& other);
};
Statistics last_statistics();

/// From now on work given to this stream, not null, is kept in order, not run: what a CUDA graph
/// records. Further calls let more streams into the recording.
void begin_recording(void* stream);
bool is_recorded(void* stream);
/// What was kept, and of which stream.
struct RecordedWork {
  void* stream;
  std::function<void()> run;
};
/// How much of it there is so far.
size_t recorded_works();
/// That work; from now on it runs again.
std::vector<RecordedWork> end_recording();

/// Is the access checker part of this program?
bool checker_linked();

}  // namespace apprentice::simt::emu
