#pragma once

#include <omp.h>

#include <apprentice/kernels/cpu/lowbit_gemm_problem_internal.h>

namespace apprentice::kernels {

/// Signed rows of whole blocks, and the sums of their spans, [spans][m].
struct GemmFewRows {
  const int8_t* x;
  int64_t step;
  const int32_t* sums;
};

inline GemmFewRows prepare_few_rows(const GemmProblem& p) {
  static thread_local GemmScratch memory;
  const int64_t step = (p.columns() + 63) / 64 * 64, spans = p.spans();
  auto* x = memory.get<uint8_t>(p.m * (step + 4 * spans));
  auto* sums = reinterpret_cast<int32_t*>(x + p.m * step);
  p.prepare_rows(0, p.m, p.x_signed ? 0 : 0x80, step, x);
  const auto* signed_x = reinterpret_cast<const int8_t*>(x);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t s = 0; s < spans; ++s) {
      const int64_t end = std::min(p.k, (s + 1) * p.span());
      int32_t sum = 0;
      for (int64_t k = s * p.span(); k < end; ++k) sum += signed_x[i * step + k];
      sums[s * p.m + i] = sum;
    }
  }
  return {signed_x, step, sums};
}

inline void multiply_few(const GemmProblem& p, const GemmFewRows& x, int64_t group) {
  alignas(64) int32_t sums[4 * kMostPanels * 16];
  alignas(64) float values[4 * kMostPanels * 16];
  const int64_t most = p.isa->gemv_rows, first = p.first_output(group);
  const int64_t packed = p.weights->width(group);
  GemvTile tile{};
  tile.x_step = x.step;
  tile.w = p.weights->group(group);
  tile.blocks = p.weights->blocks;
  tile.from = p.x_signed ? kGemmZeros : p.start(0, group);
  tile.to = sums;
  if (p.folds()) {
    tile.values = values;
    tile.span_blocks = p.span() / p.block_depth();
    tile.x_sums_step = p.m;
    tile.from_step = p.x_signed ? 0 : p.weights->panels * p.weights->lanes * p.parts();
    tile.a_step = tile.outputs = p.outputs.n;
    tile.a = p.span_a + first;
    if (p.span_a_negative) tile.a_negative = p.span_a_negative + first;
    tile.outputs -= first;
  }
  for (int64_t row = 0; row < p.m; row += most) {
    const int64_t rows = std::min(most, p.m - row);
    tile.x = x.x + row * x.step;
    tile.x_sums = x.sums + row;
    if (p.folds()) p.start_values(group, rows, values);
    p.isa->gemv(p.kind, tile, packed, rows);
    if (p.folds()) {
      p.isa->finish_values(p.outputs, values, packed, row, rows, first);
    } else {
      p.isa->finish(p.outputs, sums, p.panels(group), row, rows, first);
    }
  }
}

inline void run_gemm_of_few_rows(const GemmProblem& p) {
  const GemmFewRows x = prepare_few_rows(p);
  const int64_t groups = p.weights->groups();
#pragma omp parallel for schedule(static) if (groups > 1 && !omp_in_parallel())
  for (int64_t g = 0; g < groups; ++g) multiply_few(p, x, g);
}

}  // namespace apprentice::kernels
