// Ternary GEMM by addressed tables (kernels/cpu/lowbit_gemm_table_avx2.cpp) on all cores. Threads
// share blocks of kTableRows rows of x by chunks of up to kChunk outputs, whose sums stay in the
// second cache level; the tables of a row block are made once a chunk.
//
// x is signed: unsigned x comes as x - 128, and sums start at 128 times the sum of an output's
// codes.
#include <omp.h>

#include <algorithm>
#include <string>
#include <vector>

#include <apprentice/base/cpu.h>
#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/lowbit_gemm_problem_internal.h>
#include <apprentice/kernels/cpu/lowbit_gemm_table_internal.h>
#include <apprentice/kernels/lowbit_gemm.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kChunk = 2048;
/// Outputs from which the tables pay, whose making is shared by them, and the share of a row
/// block's lanes that must be in use. Against vpmaddubsw on one core of Zen 5, k = 1024: 256
/// outputs 1.04, 512 1.2, 1024 1.3, 2048 and more 1.4 times as fast.
constexpr int64_t kWorthOutputs = 256, kWorthLanes = 75;

/// The numbers of groups of 4 codes, [block][output][group], of whole panels of outputs.
struct TableCodes final : Prepacked {
  int64_t bytes() const override { return int64_t(numbers.size() + 4 * start.size()); }

  std::vector<uint8_t> numbers;
  std::vector<int32_t> start;  ///< `factor` times the sum of an output's codes
  int64_t blocks = 0, outputs = 0;
};

[[maybe_unused]] std::shared_ptr<const TableCodes> make_codes(const PackedCodes<2>& weight,
                                                              int32_t factor) {
  auto codes = std::make_shared<TableCodes>();
  codes->blocks = std::max<int64_t>(1, (weight.cols + kTableDepth - 1) / kTableDepth);
  codes->outputs = (weight.rows + kTablePanel - 1) / kTablePanel * kTablePanel;
  constexpr uint8_t kZero = 1 + 3 + 9 + 27;  // four codes 0
  const int64_t count = codes->blocks * codes->outputs * kTableGroups;
  codes->numbers.assign(size_t(count + 8), kZero);  // 8 bytes are read for 6
  codes->start.assign(size_t(codes->outputs), 0);
  constexpr int kPowers[] = {1, 3, 9, 27};
  for (int64_t row = 0; row < weight.rows; ++row) {
    for (int64_t col = 0; col < weight.cols; ++col) {
      const int64_t at = (col / kTableDepth * codes->outputs + row) * kTableGroups;
      const int code = weight.at(row, col);
      codes->numbers[size_t(at + col % kTableDepth / 4)] += uint8_t(code * kPowers[col % 4]);
      codes->start[size_t(row)] += factor * code;
    }
  }
  return codes;
}

/// A launch, its types resolved.
struct Problem {
  const uint8_t* x;  ///< [m, k]
  uint8_t flip;
  int64_t m, k;
  const TableCodes* codes;
  GemmOutputs outputs;
};

/// Stores what is wanted of up to 8 rows. Few rows at a time: an output's neighbours soon follow it
/// into the same lines.
void finish(const GemmOutputs& o, const int32_t* sums, int64_t row, int64_t rows, int64_t first,
            int64_t count) {
  alignas(32) int32_t panel[8 * kTablePanel];
  for (int64_t j = 0; j < count; j += kTablePanel, sums += kTablePanel * kTableRows) {
    const int64_t output = first + j;
    if (!o.y && output + kTablePanel <= o.n) {
      avx2::table_transpose(sums, rows, o.acc + row * o.n + output, o.n);
    } else {
      avx2::table_transpose(sums, rows, panel, kTablePanel);
      avx2::lowbit_gemm.finish(o, panel, 1, row, rows, output);
    }
  }
}

/// Rows [row, row + rows) by outputs [first, first + count).
void multiply(const Problem& p, int64_t row, int64_t rows, int64_t first, int64_t count) {
  static thread_local GemmScratch table, narrow, sums, arranged;
  const TableCodes& c = *p.codes;
  TableGemm t{};
  t.table = table.get<int16_t>(kTableGroups * kTableEntries * kTableRows);
  t.narrow = narrow.get<int16_t>(count * kTableRows);
  t.sums = sums.get<int32_t>(count * kTableRows);
  auto* x = arranged.get<int8_t>(c.blocks * kTableDepth * kTableRows);
  avx2::table_arrange(p.x + row * p.k, p.k, rows, p.flip, c.blocks, x);
  t.x = x;
  t.codes = c.numbers.data() + first * kTableGroups;
  t.blocks = c.blocks;
  t.block_bytes = c.outputs * kTableGroups;
  t.outputs = count;
  t.start = c.start.data() + first;
  avx2::table_gemm(t);
  for (int64_t r = 0; r < rows; r += 8) {
    finish(p.outputs, t.sums + r, row + r, std::min<int64_t>(8, rows - r), first, count);
  }
}

void run(const Problem& p) {
  const int64_t row_blocks = (p.m + kTableRows - 1) / kTableRows;
  const int64_t panels = p.codes->outputs / kTablePanel;
  const int64_t threads = omp_in_parallel() ? 1 : omp_get_max_threads();
  const int64_t wanted = std::min((threads + row_blocks - 1) / row_blocks, panels);
  const int64_t chunks = std::max(wanted, (p.codes->outputs + kChunk - 1) / kChunk);
#pragma omp parallel for schedule(static) if (row_blocks * chunks > 1 && threads > 1)
  for (int64_t task = 0; task < row_blocks * chunks; ++task) {
    const int64_t row = task / chunks * kTableRows, chunk = task % chunks;
    const int64_t first = chunk * panels / chunks * kTablePanel;
    const int64_t end = (chunk + 1) * panels / chunks * kTablePanel;
    multiply(p, row, std::min(kTableRows, p.m - row), first, end - first);
  }
}

template <class X>
using Args = typename TernaryGemm<X>::Args;

template <class X>
std::shared_ptr<const TableCodes> prepack(const Args<X>& args) {
  return make_codes(args.weight, std::is_signed_v<X> ? 0 : 128);
}

template <class X>
void launch(const Args<X>& args) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = prepack<X>(args);
  Problem p{};
  p.x = reinterpret_cast<const uint8_t*>(args.x.data);
  p.flip = std::is_signed_v<X> ? 0 : 0x80;
  p.m = args.x.size(0), p.k = args.weight.cols;
  p.codes = static_cast<const TableCodes*>(own ? own.get() : args.prepacked);
  p.outputs = gemm_outputs(args);
  if (p.m > 0 && args.weight.rows > 0) run(p);
}

template <class X>
std::string yield(const Args<X>& args) {
  const int64_t m = args.x.size(0), n = args.weight.rows;
  const int64_t lanes = (m + kTableRows - 1) / kTableRows * kTableRows;
  if (n < kWorthOutputs) return fmt::format("{} outputs do not pay for tables", n);
  if (100 * m < kWorthLanes * lanes) return fmt::format("{} rows leave lanes idle", m);
  return "";
}

template <class X>
[[maybe_unused]] void add(const std::string& missing) {
  using Op = TernaryGemm<X>;
  const auto refuse = [missing](const Args<X>& args) {
    if (args.two_step) return std::string("weights have two steps");
    return missing.empty() ? args.beyond_codes() : missing;
  };
  kernel_table<Op>().add(
      {std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_avx2_table", "avx2", 12, refuse,
       [](const Args<X>& args, Stream) { launch<X>(args); },
       [](const Args<X>& args) -> std::shared_ptr<const Prepacked> { return prepack<X>(args); },
       false, yield<X>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_gemm_table) {
#if APPRENTICE_X86
  const std::string missing = apprentice::cpu_features().avx2 ? "" : "this CPU has no AVX2";
  apprentice::kernels::add<uint8_t>(missing);
  apprentice::kernels::add<int8_t>(missing);
#endif
}
