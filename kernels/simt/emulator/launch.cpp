#include <atomic>
#include <mutex>
#include <thread>

#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

Checker* checker = nullptr;

namespace {

std::mutex launching;
Statistics statistics_of_last;

std::vector<std::unique_ptr<Engine>>& engines() {
  static std::vector<std::unique_ptr<Engine>> all;
  return all;
}

/// Which block comes when.
std::vector<uint64_t> block_order(uint64_t blocks) {
  std::vector<uint64_t> order(blocks);
  uint64_t random = settings().seed;
  for (uint64_t i = 0; i < blocks; ++i) {
    order[i] = settings().blocks == Order::reverse ? blocks - 1 - i : i;
    if (settings().blocks == Order::random)
      std::swap(order[i], order[random_number(random) % (i + 1)]);
  }
  return order;
}

void check_launch(const Grid& grid, const Grid& block, size_t shared_bytes) {
  if (current_thread) throw Fault("launch from inside a kernel");
  const uint64_t threads = uint64_t(block.x) * block.y * block.z;
  const bool grid_fits =
      grid.x && grid.y && grid.z && grid.x <= 0x7fffffffu && grid.y <= 65535 && grid.z <= 65535;
  check<Fault>(grid_fits, "launch: a grid of {} x {} x {} blocks", grid.x, grid.y, grid.z);
  check<Fault>(threads && threads <= 1024 && block.z <= 64,
               "launch: a block of {} x {} x {} threads, at most 1024 are possible", block.x,
               block.y, block.z);
  const size_t limit = settings().shared_limit;
  check<Fault>(shared_bytes <= limit, "launch: {} bytes of shared memory, at most {} are possible",
               shared_bytes, limit);
}

struct GridRun {
  Grid grid, block;
  size_t shared_bytes;
  void (*body)(const void*);
  const void* arguments;
  std::vector<uint64_t> order;
  std::atomic<uint64_t> next{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::string error;

  void run(Engine& e) {
    engine = &e;
    adopt_os_stack(e.os);
    watch_segmentation_faults();
    e.statistics = Statistics{};
    e.body = body;
    e.arguments = arguments;
    for (uint64_t i; !stop && (i = next++) < order.size();) run_block(e, order[i]);
  }

  void run_block(Engine& e, uint64_t b) {
    e.random = settings().seed * 0x2545f4914f6cdd1du + b;
    const uint64_t plane = uint64_t(grid.x) * grid.y;
    const Index3 at{unsigned(b % grid.x), unsigned(b / grid.x % grid.y), unsigned(b / plane)};
    try {
      e.run_block(at, {block.x, block.y, block.z}, {grid.x, grid.y, grid.z}, shared_bytes);
    } catch (const std::exception& fault) {
      stop = true;
      const std::lock_guard lock(mutex);
      if (error.empty()) error = fault.what();
    }
    current_thread = nullptr;
  }
};

}  // namespace

void run_grid(Grid grid, Grid block, size_t shared_bytes, void (*body)(const void*),
              const void* arguments) {
  check_launch(grid, block, shared_bytes);
  const std::lock_guard lock(launching);
  const uint64_t blocks = uint64_t(grid.x) * grid.y * grid.z;
  const size_t workers = checker ? 1 : std::min<uint64_t>(settings().workers, blocks);
  while (engines().size() < workers) engines().push_back(std::make_unique<Engine>());
  if (checker) checker->launch_begins();

  GridRun run{grid, block, shared_bytes, body, arguments, block_order(blocks), {}, {}, {}, {}};
  std::vector<std::thread> others;
  for (size_t i = 1; i < workers; ++i) others.emplace_back([&, i] { run.run(*engines()[i]); });
  run.run(*engines()[0]);
  for (std::thread& t : others) t.join();

  statistics_of_last = Statistics{};
  for (size_t i = 0; i < workers; ++i) statistics_of_last += engines()[i]->statistics;
  if (run.error.empty()) run.error = check_device_canaries();
  if (!run.error.empty()) throw Fault(resolve_places(run.error));
}

Statistics& Statistics::operator+=(const Statistics& other) {
  blocks += other.blocks;
  switches += other.switches;
  barriers += other.barriers;
  collectives += other.collectives;
  products += other.products;
  shared_requests += other.shared_requests;
  shared_wavefronts += other.shared_wavefronts;
  shared_ideal += other.shared_ideal;
  global_requests += other.global_requests;
  global_sectors += other.global_sectors;
  global_ideal += other.global_ideal;
  return *this;
}

Statistics last_statistics() { return statistics_of_last; }
bool checker_linked() { return checker != nullptr; }

}  // namespace apprentice::simt::emu
