// Direct low-bit convolution on all cores: an image is cut into strips of output rows, and with few
// images its outputs are shared out, too. A kernel reads the image in place where it can leave out
// the taps beyond the edge; else a strip's input is copied once into a thread's own memory with its
// padding, so that the kernel proper has no bounds.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/kernels/lowbit_panels_internal.h>

namespace apprentice::kernels {
namespace {

/// Input bytes that a strip should not exceed: a copy stays in the first cache level, what is read
/// in place in the second.
constexpr int64_t kCopyBytes = 24 * 1024;
constexpr int64_t kStripBytes = 256 * 1024;

struct Isa {
  int64_t lanes;
  void (*strip)(const LowbitStrip&);
  bool edges;  ///< leaves out taps beyond the edge of the image
};

/// Sizes of one convolution.
struct Problem {
  int64_t images, height, width, in, padded_in;
  int64_t out_rows, out_cols, out;
  int64_t kh, kw, padded_width, row_bytes;
  Conv2dGeometry g;
  bool copies;  ///< strips are copied; else windows lie in x itself
  bool edges;   ///< and may reach beyond it
  int64_t strip_rows, strips;
  int64_t share, shares;             ///< blocks of outputs of a share
  std::vector<int64_t>* run_offset;  ///< memory of the calling thread, which grows and stays
  int64_t run_steps;
};

/// Do windows reach over the left and right edge only with the first tap of the first pixel and the
/// last tap of the last one?
bool only_outer_taps(const Problem& p) {
  const int64_t pad = p.g.padding[1], stride = p.g.stride[1];
  if (pad == 0) return true;
  const int64_t last = (p.out_cols - 1) * stride - pad;  // first input column of the last pixel
  return pad == 1 && p.kw > 1 && last + p.kw - 2 < p.width && last - stride + p.kw - 1 < p.width;
}

/// Cuts the work: rows of an image so that a strip's input fits its cache level, and so that no
/// thread is idle; with few images rather the outputs than the rows, as weights are then read once.
void cut(Problem& p, const Isa& isa, int64_t blocks, bool two_step) {
  const int64_t threads = task_threads();
  const bool few = p.images % threads != 0 && p.images < 8 * threads;
  const int64_t unit = two_step || isa.lanes < 16 ? 1 : 2;  // blocks that are computed at once
  const int64_t units = (blocks + unit - 1) / unit;
  p.shares = few && !p.copies && units % threads == 0 ? threads : 1;
  p.share = (units + p.shares - 1) / p.shares * unit;
  const int64_t halo = (p.kh - 1) * p.g.dilation[0] + 1 - p.g.stride[0];
  const int64_t bytes = p.copies ? kCopyBytes : kStripBytes;
  const int64_t fitting = (bytes / p.row_bytes - halo) / p.g.stride[0];
  const int64_t wanted = few && p.shares == 1 ? threads : 1;
  const int64_t most = std::min((p.out_rows + wanted - 1) / wanted, std::max<int64_t>(4, fitting));
  p.strips = (p.out_rows + most - 1) / std::max<int64_t>(most, 1);
  p.strip_rows = p.strips == 0 ? 1 : (p.out_rows + p.strips - 1) / p.strips;
}

template <class Args>
Problem problem_of(const Args& args, const Isa& isa, int64_t blocks) {
  static thread_local std::vector<int64_t> run_offset;
  run_offset.clear();
  Problem p;
  p.run_offset = &run_offset;
  p.g = args.geometry;
  p.images = args.x.size(0), p.height = args.x.size(1), p.width = args.x.size(2);
  p.in = args.x.size(3), p.padded_in = (p.in + 3) / 4 * 4;
  p.kh = args.kernel_size[0], p.kw = args.kernel_size[1];
  p.out_rows = p.g.out_size(0, p.height, p.kh), p.out_cols = p.g.out_size(1, p.width, p.kw);
  p.out = args.weight.rows;
  const bool joined = p.g.dilation[1] == 1;  // the taps of a row lie side by side
  const bool whole = p.padded_in == p.in;
  p.edges = isa.edges && whole && joined && p.g.dilation[0] == 1 && only_outer_taps(p);
  p.copies = !p.edges && (!whole || p.g.padding[0] > 0 || p.g.padding[1] > 0);
  p.padded_width =
      p.copies ? (p.out_cols - 1) * p.g.stride[1] + (p.kw - 1) * p.g.dilation[1] + 1 : p.width;
  p.row_bytes = p.padded_width * p.padded_in;
  for (int64_t r = 0; r < p.kh; ++r) {
    for (int64_t s = 0; s < (joined ? 1 : p.kw); ++s) {
      run_offset.push_back(r * p.g.dilation[0] * p.row_bytes + s * p.g.dilation[1] * p.padded_in);
    }
  }
  p.run_steps = (joined ? p.kw : 1) * p.padded_in / 4;
  cut(p, isa, blocks, args.two_step);
  return p;
}

/// Copies pixels, each padded from `in` to `padded_in` bytes.
void copy_pixels(const Problem& p, const uint8_t* x, int64_t count, uint8_t* to) {
  if (p.in == p.padded_in) {
    std::memcpy(to, x, size_t(count * p.in));
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    std::memcpy(to + i * p.padded_in, x + i * p.in, size_t(p.in));
    std::memset(to + i * p.padded_in + p.in, 0, size_t(p.padded_in - p.in));
  }
}

/// Copies input rows [first, first + rows) of an image, zero outside of it.
void copy_strip(const Problem& p, const uint8_t* image, int64_t first, int64_t rows, uint8_t* to) {
  const int64_t left = std::min(p.g.padding[1], p.padded_width);
  const int64_t inside = std::min(p.width, p.padded_width - left);
  const int64_t right = p.padded_width - left - inside;
  for (int64_t row = first; row < first + rows; ++row, to += p.row_bytes) {
    if (row < 0 || row >= p.height) {
      std::memset(to, 0, size_t(p.row_bytes));
      continue;
    }
    std::memset(to, 0, size_t(left * p.padded_in));
    copy_pixels(p, image + row * p.width * p.in, inside, to + left * p.padded_in);
    std::memset(to + (left + inside) * p.padded_in, 0, size_t(right * p.padded_in));
  }
}

/// Memory of this thread for one strip; grows to what the largest layer needs and stays.
uint8_t* scratch(int64_t bytes) {
  static thread_local std::vector<uint8_t> memory;
  if (int64_t(memory.size()) < bytes) memory.resize(size_t(bytes));
  return memory.data();
}

template <class Args>
void set_outputs(const Args& args, const Problem& p, int64_t image, int64_t row, LowbitStrip& s) {
  const int64_t offset = (image * p.out_rows + row) * p.out_cols * p.out;
  s.acc = args.acc ? args.acc.data + offset : nullptr;
  s.negative = args.acc_negative ? args.acc_negative.data + offset : nullptr;
  s.acc_f32 = args.acc_f32 ? args.acc_f32.data + offset : nullptr;
  s.y = args.y ? args.y.data + offset : nullptr;
  s.a = args.epilogue.a.data, s.a_negative = args.epilogue.a_negative.data;
  s.b = args.epilogue.b.data, s.r = args.epilogue.r;
  s.max_code = float(args.epilogue.max_code);
  s.residual = nullptr;
  if (!args.residual) return;
  const auto& x = args.residual;
  const int64_t stride = x.size(1) == p.out_rows ? 1 : 2;
  s.residual_col_step = stride * x.size(3);
  s.residual_row_step = stride * x.size(2) * x.size(3);
  s.residual_channels = x.size(3);
  s.residual_first = (p.out - x.size(3)) / 2;
  s.residual = x.data + image * x.size(1) * x.size(2) * x.size(3) + row * s.residual_row_step;
}

template <class Args>
void run_strip(const Args& args, const Problem& p, const Isa& isa, int64_t task, LowbitStrip s) {
  const int64_t share = task % p.shares, strip = task / p.shares;
  const int64_t image = strip / p.strips, row = strip % p.strips * p.strip_rows;
  s.first_block = share * p.share;
  s.end_block = std::min(s.end_block, s.first_block + p.share);
  s.rows = std::min(p.strip_rows, p.out_rows - row);
  if (s.rows <= 0) return;
  const int64_t first = row * p.g.stride[0] - p.g.padding[0];
  const uint8_t* x = args.x.data + image * p.height * p.width * p.in;
  if (p.copies) {
    const int64_t rows = (s.rows - 1) * p.g.stride[0] + (p.kh - 1) * p.g.dilation[0] + 1;
    uint8_t* copy = scratch(rows * p.row_bytes);
    copy_strip(p, x, first, rows, copy);
    s.x = copy;
  } else {
    s.x = x + first * p.row_bytes - p.g.padding[1] * p.in;
    s.first_row = first;
  }
  set_outputs(args, p, image, row, s);
  isa.strip(s);
}

template <int Bits>
void run(const typename LowbitConv2d<Bits>::Args& args, const Isa& isa) {
  std::shared_ptr<const Prepacked> own;
  const int64_t taps = args.kernel_size[0] * args.kernel_size[1];
  if (!args.prepacked) own = make_panels(args.weight, taps, isa.lanes, args.two_step);
  const auto& panels = static_cast<const LowbitPanels&>(own ? *own : *args.prepacked);
  const Problem p = problem_of(args, isa, panels.blocks);
  LowbitStrip s{};
  s.row_step = p.g.stride[0] * p.row_bytes;
  s.col_step = p.g.stride[1] * p.padded_in;
  s.cols = p.out_cols;
  s.run_offset = p.run_offset->data();
  s.runs = int64_t(p.run_offset->size());
  s.run_steps = p.run_steps;
  s.edges = p.edges;
  s.row_stride = p.g.stride[0];
  s.height = p.height;
  s.tap_steps = p.padded_in / 4;
  s.left = p.g.padding[1] > 0;
  s.right = (p.out_cols - 1) * p.g.stride[1] + p.kw - 1 - p.g.padding[1] >= p.width;
  s.panels = panels.data();
  s.panel_bytes = panels.panel_bytes;
  s.end_block = panels.blocks;
  s.out = p.out;
  s.two_step = args.two_step;
  s.flush_steps = flush_steps<Bits>;
  const int64_t tasks = p.images * p.strips * p.shares;
  for_each_task(tasks, [&](int64_t task) { run_strip(args, p, isa, task, s); });
}

template <int Bits>
std::string refuse(const typename LowbitConv2d<Bits>::Args& args) {
  if (args.geometry.groups != 1) return fmt::format("groups is {}", args.geometry.groups);
  return "";
}

template <int Bits>
[[maybe_unused]] void add(const std::string& family, int priority, const Isa& isa,
                          const std::string& missing) {
  using Op = LowbitConv2d<Bits>;
  using Args = typename Op::Args;
  kernel_table<Op>().add(
      {std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_" + family, family, priority,
       [missing](const Args& args) { return missing.empty() ? refuse<Bits>(args) : missing; },
       [isa](const Args& args, Stream) { run<Bits>(args, isa); },
       [isa](const Args& args) -> std::shared_ptr<const Prepacked> {
         const int64_t taps = args.kernel_size[0] * args.kernel_size[1];
         return make_panels(args.weight, taps, isa.lanes, args.two_step);
       },
       true});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_conv2d) {
#if APPRENTICE_X86
  using namespace apprentice::kernels;
  const auto& cpu = apprentice::cpu_features();
  const std::string no_avx2 = cpu.avx2 ? "" : "this CPU has no AVX2";
  const std::string no_vnni = cpu.avx512_vnni ? "" : "this CPU has no AVX-512-VNNI";
  add<2>("avx2", 10, {8, avx2::lowbit_strip, false}, no_avx2);
  add<4>("avx2", 10, {8, avx2::lowbit_strip, false}, no_avx2);
  add<2>("vnni", 20, {16, vnni::lowbit_strip, true}, no_vnni);
  add<4>("vnni", 20, {16, vnni::lowbit_strip, true}, no_vnni);
#elif APPRENTICE_ARM64
  using namespace apprentice::kernels;
  const bool dot = apprentice::cpu_features().neon_dot;
  const std::string missing = dot ? "" : "this CPU has no dot product of Armv8.2";
  add<2>("neon", 20, {4, neon::lowbit_strip, false}, missing);
  add<4>("neon", 20, {4, neon::lowbit_strip, false}, missing);
#endif
}
