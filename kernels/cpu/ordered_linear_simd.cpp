// Vectors run over outputs, so each sum is built in the order of the reference. The vectors of a
// panel hide the latency of the fused multiply-add; several rows at a time use its weights more
// than once.
#include <apprentice/kernels/cpu/ordered_linear_simd_internal.h>
#include <apprentice/kernels/cpu/ordered_vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectors = 4, kMostRows = 6;
#else
constexpr int kVectors = 2, kMostRows = 4;
#endif
constexpr int64_t kOutputs = kVectors * kLanes;

/// kRows rows from `row` on.
template <int kRows>
APPRENTICE_INLINE void rows_of(const OrderedLinearBlock& b, int64_t row) {
  Vector sum[kRows][kVectors];
#pragma GCC unroll 8
  for (int k = 0; k < kRows; ++k) {
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) sum[k][v] = load(b.panel + v * kLanes);
  }
  const float* x = b.x + row * b.depth;
  const float* w = b.panel + kOutputs;
  for (int64_t i = 0; i < b.depth; ++i, w += kOutputs) {
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
      const Vector value = splat<Vector>(x[k * b.depth + i]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[k][v] = fused(value, load(w + v * kLanes), sum[k][v]);
    }
  }
#pragma GCC unroll 8
  for (int k = 0; k < kRows; ++k) {
    float* y = b.y + (row + k) * b.y_step;
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) {
      const int64_t count = b.outputs - v * kLanes;
      if (count >= kLanes)
        store(y + v * kLanes, sum[k][v]);
      else
        for (int64_t l = 0; l < count; ++l) y[v * kLanes + l] = sum[k][v][l];
    }
  }
}

void block(const OrderedLinearBlock& b) {
  int64_t row = 0;
  for (; row + kMostRows <= b.rows; row += kMostRows) rows_of<kMostRows>(b, row);
  for (; row + 2 <= b.rows; row += 2) rows_of<2>(b, row);
  if (row < b.rows) rows_of<1>(b, row);
}

}  // namespace

const OrderedLinearSimd ordered_linear{kOutputs, block};

}  // namespace apprentice::kernels::APPRENTICE_ISA
