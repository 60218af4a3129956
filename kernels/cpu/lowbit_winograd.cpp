// Exact integer Winograd convolution on all cores (the arithmetic: lowbit_winograd_internal.h). The
// tiles of all images are cut into groups whose transformed input stays in the second cache level,
// where all outputs then read it; with fewer groups than threads the outputs are shared out, too.
#include <omp.h>

#include <algorithm>
#include <string>

#include <apprentice/base/buffer.h>
#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_winograd_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/kernels/lowbit_winograd_panels_internal.h>

namespace apprentice::kernels {
namespace {

/// Transformed input of a group, in bytes.
constexpr int64_t kGroupBytes = 256 * 1024;
/// Four times a sum must fit s32: 4 * 63 * 8 * 9 * in, and the same with twice 127.
constexpr int64_t kMostChannels = 65536;
/// Input channels from which on it beats the direct kernel: with 16 the transforms cost more than
/// the products that they save (measured: 1.3 times its time).
constexpr int64_t kWorthChannels = 32;

/// How the work is cut.
struct Plan {
  int64_t tiles;          ///< of all images
  int64_t group, groups;  ///< tiles of a group
  int64_t share, shares;  ///< blocks of 16 outputs of a share
};

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

/// Memory of a thread, which grows to what the largest layer needs and stays.
struct Scratch {
  std::unique_ptr<Buffer> v, sums;

  static Scratch& of_thread(int64_t v_bytes) {
    static thread_local Scratch scratch;
    if (!scratch.sums) scratch.sums = std::make_unique<Buffer>(kWinogradSums * sizeof(int32_t));
    if (!scratch.v || int64_t(scratch.v->bytes()) < v_bytes) {
      scratch.v.reset();
      scratch.v = std::make_unique<Buffer>(size_t(v_bytes));
    }
    return scratch;
  }
};

template <class Args>
void set_outputs(const Args& args, LowbitWinograd& w) {
  w.two_step = args.two_step;
  w.acc = args.acc.data, w.negative = args.acc_negative.data, w.y = args.y.data;
  w.acc_f32 = args.acc_f32.data;
  w.a = args.epilogue.a.data, w.a_negative = args.epilogue.a_negative.data;
  w.b = args.epilogue.b.data, w.r = args.epilogue.r;
  w.max_code = float(args.epilogue.max_code);
  if (!args.residual) return;
  const auto& x = args.residual;
  const int64_t stride = x.size(1) == w.out_rows ? 1 : 2;
  w.residual = x.data;
  w.residual_image_step = x.size(1) * x.size(2) * x.size(3);
  w.residual_row_step = stride * x.size(2) * x.size(3);
  w.residual_col_step = stride * x.size(3);
  w.residual_channels = x.size(3);
  w.residual_first = (w.out - x.size(3)) / 2;
}

template <int Rows, class Args>
LowbitWinograd problem_of(const Args& args, const WinogradPanels& panels) {
  LowbitWinograd w{};
  w.x = args.x.data;
  w.height = args.x.size(1), w.width = args.x.size(2), w.in = args.x.size(3);
  w.padded_in = ceil_div(w.in, 4) * 4;
  w.pad_rows = args.geometry.padding[0], w.pad_cols = args.geometry.padding[1];
  w.out_rows = args.geometry.out_size(0, w.height, 3);
  w.out_cols = args.geometry.out_size(1, w.width, 3);
  w.out = args.weight.rows;
  w.tile_rows = ceil_div(w.out_rows, Rows), w.tile_cols = ceil_div(w.out_cols, 2);
  w.panels = panels.data();
  w.panel_bytes = panels.panel_bytes;
  w.start = panels.start.data();
  set_outputs(args, w);
  return w;
}

/// Groups of nearly equal size; with Rows = 1 a group is rows of tiles of one image.
template <int Rows>
Plan plan_of(const LowbitWinograd& w, int64_t images, int64_t blocks) {
  using Tile = WinogradTile<Rows>;
  const int64_t threads = task_threads();
  const int64_t unit = Rows == 1 ? w.tile_cols : 1;  // what a group is made of
  const int64_t image_units = w.tile_rows * w.tile_cols / unit;
  const int64_t units = Rows == 1 ? image_units : image_units * images;
  const int64_t repeats = Rows == 1 ? images : 1;
  const int64_t fitting = kGroupBytes / (Tile::positions * w.padded_in * unit);
  int64_t groups = ceil_div(units, std::max<int64_t>(fitting, 1));
  Plan plan;
  plan.shares = 1;
  if (groups * repeats < threads) {
    // Each thread either transforms the input of its own tiles and reads all weights, or the other
    // way round; transforming a tile costs about as much as multiplying it with three outputs.
    const int64_t wanted = ceil_div(threads, repeats);
    if (units * unit < 2 * w.out) {
      plan.shares = std::min(wanted, ceil_div(blocks, 2));
    } else {
      groups = std::min(wanted, units);
    }
  }
  plan.tiles = units * unit * repeats;
  plan.group = ceil_div(units, groups) * unit;
  if (Rows == 2 && plan.shares == 1) {  // whole sets
    plan.group = ceil_div(plan.group, kWinogradTiles) * kWinogradTiles;
  }
  plan.groups = ceil_div(units * unit, plan.group) * repeats;
  plan.share = ceil_div(blocks, plan.shares * 2) * 2;
  plan.shares = ceil_div(blocks, plan.share);
  return plan;
}

template <int Rows>
void run_task(LowbitWinograd w, const Plan& plan, int64_t blocks, int64_t task,
              const uint8_t* zeros) {
  using Tile = WinogradTile<Rows>;
  const int64_t group = task / plan.shares, share = task % plan.shares;
  if constexpr (Rows == 1) {
    const int64_t image_tiles = w.tile_rows * w.tile_cols;
    const int64_t of_image = ceil_div(image_tiles, plan.group), image = group / of_image;
    w.first_tile = image * image_tiles + group % of_image * plan.group;
    w.end_tile = std::min(w.first_tile + plan.group, (image + 1) * image_tiles);
  } else {
    w.first_tile = group * plan.group;
    w.end_tile = std::min(w.first_tile + plan.group, plan.tiles);
  }
  w.first_block = share * plan.share;
  w.end_block = std::min(w.first_block + plan.share, blocks);
  const int64_t tiles = w.end_tile - w.first_tile;
  const int64_t plane_tiles = Rows == 1 ? tiles + 2 * w.tile_cols : kWinogradTiles;
  w.plane_bytes = ceil_div(plane_tiles * w.padded_in, 64) * 64 + 64;  // v is written in whole 64s
  w.sets = ceil_div(tiles, kWinogradTiles);
  const int64_t planes = Tile::positions * (Rows == 1 ? 1 : w.sets);
  const Scratch& scratch = Scratch::of_thread(planes * w.plane_bytes);
  w.v = static_cast<uint8_t*>(scratch.v->data());
  w.sums = static_cast<int32_t*>(scratch.sums->data());
  w.zeros = zeros;
  vnni::lowbit_winograd<Rows>(w);
}

/// Zeros to read where the image ends, of the calling thread.
const uint8_t* zero_bytes(int64_t count) {
  static thread_local std::vector<uint8_t> zeros;
  if (int64_t(zeros.size()) < count) zeros.assign(size_t(count), 0);
  return zeros.data();
}

template <int Bits, int Rows>
void run(const typename LowbitConv2d<Bits>::Args& args) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = make_winograd_panels<Bits, Rows>(args.weight, args.two_step);
  const auto& panels = static_cast<const WinogradPanels&>(own ? *own : *args.prepacked);
  const LowbitWinograd w = problem_of<Rows>(args, panels);
  if (w.out_rows * w.out_cols * args.x.size(0) == 0) return;
  const Plan plan = plan_of<Rows>(w, args.x.size(0), panels.blocks);
  const uint8_t* zeros = zero_bytes(w.width * w.in);
  const int64_t tasks = plan.groups * plan.shares;
  for_each_task(tasks, [&](int64_t task) { run_task<Rows>(w, plan, panels.blocks, task, zeros); });
}

/// Products of one channel that the direct kernel needs along an axis: the taps inside of the
/// image.
[[maybe_unused]] int64_t taps_inside(int64_t size, int64_t padding) {
  const int64_t out = size + 2 * padding - 2;
  int64_t taps = 0;
  for (int64_t at = 0; at < out; ++at) {
    taps += std::max<int64_t>(std::min(at + 3, size + padding) - std::max(at, padding), 0);
  }
  return taps;
}

template <int Bits, int Rows>
std::string refuse(const typename LowbitConv2d<Bits>::Args& args) {
  const auto& g = args.geometry;
  const auto is = [](const auto& pair, int64_t value) {
    return pair[0] == value && pair[1] == value;
  };
  if (g.groups != 1) return fmt::format("groups is {}", g.groups);
  if (!is(args.kernel_size, 3)) {
    return fmt::format("kernel is {}x{}, not 3x3", args.kernel_size[0], args.kernel_size[1]);
  }
  if (!is(g.stride, 1)) return fmt::format("stride is {}x{}, not 1", g.stride[0], g.stride[1]);
  if (!is(g.dilation, 1)) return fmt::format("dilation is {}x{}", g.dilation[0], g.dilation[1]);
  if (args.max_x > WinogradTile<Rows>::max_x) {
    return fmt::format("max_x is {}, above {}", args.max_x, WinogradTile<Rows>::max_x);
  }
  if (args.x.size(3) > kMostChannels) {
    return fmt::format("{} input channels, more than {}", args.x.size(3), kMostChannels);
  }
  return "";
}

/// Why the direct kernel is the faster one: few channels, or tiles that reach far over a small
/// image, where it leaves out the taps beyond the edge.
template <int Bits, int Rows>
std::string yield(const typename LowbitConv2d<Bits>::Args& args) {
  const int64_t height = args.x.size(1), width = args.x.size(2), in = args.x.size(3);
  if (in < kWorthChannels) return fmt::format("{} input channels: direct is faster", in);
  const auto& padding = args.geometry.padding;
  const int64_t rows = args.geometry.out_size(0, height, 3);
  const int64_t cols = args.geometry.out_size(1, width, 3);
  const int64_t tiles = ceil_div(rows, Rows) * ceil_div(cols, 2);
  const int64_t products = tiles * WinogradTile<Rows>::positions * WinogradTile<Rows>::runs;
  const int64_t direct = taps_inside(height, padding[0]) * taps_inside(width, padding[1]);
  if (products * 115 / 100 < direct) return "";  // the transforms take the rest
  return fmt::format("image is {}x{}: direct is faster", height, width);
}

template <int Bits, int Rows>
void add(const std::string& method, int priority, const std::string& missing) {
  using Op = LowbitConv2d<Bits>;
  using Args = typename Op::Args;
  kernel_table<Op>().add(
      {std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_vnni_" + method, "vnni",
       priority,
       [missing](const Args& args) { return missing.empty() ? refuse<Bits, Rows>(args) : missing; },
       [](const Args& args, Stream) { run<Bits, Rows>(args); },
       [](const Args& args) -> std::shared_ptr<const Prepacked> {
         return make_winograd_panels<Bits, Rows>(args.weight, args.two_step);
       },
       true, yield<Bits, Rows>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_winograd) {
#if APPRENTICE_X86
  using namespace apprentice::kernels;
  const std::string missing =
      apprentice::cpu_features().avx512_vnni ? "" : "this CPU has no AVX-512-VNNI";
  add<2, 2>("winograd", 40, missing);
  add<4, 2>("winograd", 40, missing);
  add<2, 1>("winograd_row", 30, missing);
  add<4, 1>("winograd_row", 30, missing);
#endif
}
