// Low-bit GEMM on all cores: rows of x are the pixels of kernels/cpu/lowbit_strip_internal.h, with
// one tap. Signed x is taken as x + 128, and 128 times the sum of the weights is taken off at the
// start.
#include <omp.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_strip_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>
#include <apprentice/kernels/lowbit_panels_internal.h>

namespace apprentice::kernels {
namespace {

/// Rows of x that one task multiplies, so that weights are read once for many of them.
constexpr int64_t kTaskRows = 56;

struct Isa {
  int64_t lanes;
  void (*strip)(const LowbitStrip&);
};

/// Rows of x as u8, padded to whole groups of 4; memory of this thread that grows and stays.
template <class X>
const uint8_t* copy_rows(const X* x, int64_t rows, int64_t depth, int64_t padded_depth) {
  static thread_local std::vector<uint8_t> memory;
  if (int64_t(memory.size()) < rows * padded_depth) memory.resize(size_t(rows * padded_depth));
  const uint8_t flip = std::is_signed_v<X> ? 0x80 : 0;
  for (int64_t i = 0; i < rows; ++i) {
    uint8_t* to = memory.data() + i * padded_depth;
    for (int64_t k = 0; k < depth; ++k) to[k] = uint8_t(x[i * depth + k]) ^ flip;
    std::fill(to + depth, to + padded_depth, uint8_t(0));
  }
  return memory.data();
}

/// Rows [row, row + s.cols) of x times the weight blocks that s names.
template <class X, int Bits>
void run_rows(const typename LowbitGemm<X, Bits>::Args& args, const Isa& isa, int64_t row,
              LowbitStrip s) {
  const int64_t depth = args.weight.cols, padded = s.col_step, out = args.weight.rows;
  if (std::is_signed_v<X> || padded != depth) {
    s.x = copy_rows(&args.x(row, 0), s.cols, depth, padded);
  } else {
    s.x = reinterpret_cast<const uint8_t*>(&args.x(row, 0));
  }
  const int64_t at = row * out;
  s.acc = args.acc ? args.acc.data + at : nullptr;
  s.negative = args.acc_negative ? args.acc_negative.data + at : nullptr;
  s.y = args.y ? args.y.data + at : nullptr;
  s.residual = args.residual ? args.residual.data + at : nullptr;
  isa.strip(s);
}

template <class X, int Bits>
LowbitStrip strip_of(const typename LowbitGemm<X, Bits>::Args& args, const Isa& isa,
                     const LowbitPanels& panels) {
  static constexpr int64_t kNoOffset = 0;
  LowbitStrip s{};
  s.rows = 1;
  s.col_step = (args.weight.cols + 3) / 4 * 4;
  s.run_offset = &kNoOffset;
  s.runs = 1;
  s.run_steps = s.col_step / 4;
  s.panels = panels.data();
  s.panel_bytes = panels.panel_bytes;
  if (std::is_signed_v<X>) {
    s.start[0] = panels.start.data();
    s.start[1] = args.two_step ? panels.start.data() + panels.blocks * isa.lanes : nullptr;
  }
  s.out = args.weight.rows;
  s.two_step = args.two_step;
  s.flush_steps = flush_steps<Bits>;
  s.a = args.epilogue.a.data, s.a_negative = args.epilogue.a_negative.data;
  s.b = args.epilogue.b.data, s.r = args.epilogue.r;
  s.max_code = float(args.epilogue.max_code);
  s.residual_col_step = s.residual_channels = s.out;
  return s;
}

template <class X, int Bits>
void run(const typename LowbitGemm<X, Bits>::Args& args, const Isa& isa) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = make_panels(args.weight, 1, isa.lanes, args.two_step);
  const auto& panels = static_cast<const LowbitPanels&>(own ? *own : *args.prepacked);
  const LowbitStrip whole = strip_of<X, Bits>(args, isa, panels);
  const int64_t m = args.x.size(0), row_tasks = (m + kTaskRows - 1) / kTaskRows;
  const int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  // Few rows: threads share the outputs, in pairs of blocks as the kernel takes them.
  const int64_t pairs = (panels.blocks + 1) / 2;
  const int64_t out_tasks =
      std::max<int64_t>(1, std::min(pairs, threads / std::max<int64_t>(row_tasks, 1)));
  const int64_t tasks = row_tasks * out_tasks;
#pragma omp parallel for if (tasks > 1 && !omp_in_parallel())
  for (int64_t task = 0; task < tasks; ++task) {
    const int64_t row = task / out_tasks * kTaskRows, part = task % out_tasks;
    LowbitStrip s = whole;
    s.cols = std::min(kTaskRows, m - row);
    s.first_block = part * pairs / out_tasks * 2;
    s.end_block = std::min((part + 1) * pairs / out_tasks * 2, panels.blocks);
    run_rows<X, Bits>(args, isa, row, s);
  }
}

template <class X, int Bits>
void add(const std::string& family, int priority, const Isa& isa, const std::string& missing) {
  using Op = LowbitGemm<X, Bits>;
  using Args = typename Op::Args;
  kernel_table<Op>().add({std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_" + family,
                          family, priority, [missing](const Args&) { return missing; },
                          [isa](const Args& args, Stream) { run<X, Bits>(args, isa); },
                          [isa](const Args& args) -> std::shared_ptr<const Prepacked> {
                            return make_panels(args.weight, 1, isa.lanes, args.two_step);
                          }});
}

[[maybe_unused]] void add_all(const std::string& family, int priority, const Isa& isa,
                              const std::string& missing) {
  add<uint8_t, 2>(family, priority, isa, missing);
  add<uint8_t, 4>(family, priority, isa, missing);
  add<int8_t, 2>(family, priority, isa, missing);
  add<int8_t, 4>(family, priority, isa, missing);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_gemm) {
#if APPRENTICE_X86
  using namespace apprentice::kernels;
  const auto& cpu = apprentice::cpu_features();
  add_all("avx2", 10, {8, avx2::lowbit_strip}, cpu.avx2 ? "" : "this CPU has no AVX2");
  add_all("vnni", 20, {16, vnni::lowbit_strip},
          cpu.avx512_vnni ? "" : "this CPU has no AVX-512-VNNI");
#endif
}
