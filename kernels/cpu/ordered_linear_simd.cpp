// Vectors run over outputs, so each sum is built in the order of the reference; several rows at a
// time hide the latency of the fused multiply-add.
#include <apprentice/kernels/cpu/ordered_linear_simd_internal.h>
#include <apprentice/kernels/cpu/ordered_vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Outputs [o, o + lanes) of kRows rows from `row` on.
template <int kRows>
APPRENTICE_INLINE void rows_of(const OrderedLinearBlock& b, int64_t row, int64_t o) {
  Vector sum[kRows];
  for (int k = 0; k < kRows; ++k) sum[k] = load(b.bias + o);
  const float* x = b.x + row * b.depth;
  for (int64_t i = 0; i < b.depth; ++i) {
    const Vector weight = load(b.weights + i * b.padded_out + o);
#pragma GCC unroll 8
    for (int k = 0; k < kRows; ++k) {
      sum[k] = fused(splat<Vector>(x[k * b.depth + i]), weight, sum[k]);
    }
  }
  const int64_t count = b.out - o < kLanes ? b.out - o : kLanes;
  for (int k = 0; k < kRows; ++k) {
    float* y = b.y + (row + k) * b.out + o;
    if (count == kLanes)
      store(y, sum[k]);
    else
      for (int64_t l = 0; l < count; ++l) y[l] = sum[k][l];
  }
}

void block(const OrderedLinearBlock& b) {
  constexpr int kRows = 8;
  for (int64_t o = 0; o < b.out; o += kLanes) {
    int64_t row = 0;
    for (; row + kRows <= b.rows; row += kRows) rows_of<kRows>(b, row, o);
    for (; row < b.rows; ++row) rows_of<1>(b, row, o);
  }
}

}  // namespace

const OrderedLinearSimd ordered_linear{block};

}  // namespace apprentice::kernels::APPRENTICE_ISA
