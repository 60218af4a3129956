#include <apprentice/kernels/cpu/ordered_vector_internal.h>
#include <apprentice/kernels/cpu/requantize_simd_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Columns [j, j + lanes of V) of all rows: the constants stay in registers.
template <class V, bool TwoStep, bool Shortcut, class T, class Code>
APPRENTICE_INLINE void columns(const RequantizeBlock<T, Code>& block, int64_t j) {
  const V a = load_as<V>(block.a + j), b = load_as<V>(block.b + j);
  V a_negative{};
  if (TwoStep) a_negative = load_as<V>(block.a_negative + j);
  for (int64_t i = 0; i < block.rows; ++i) {
    const int64_t at = i * block.width + j;
    V t = b;
    if (TwoStep) t = fused(-load_real<V>(block.acc_negative + at), a_negative, b);
    t = fused(load_real<V>(block.acc + at), a, t);
    if (Shortcut) t = fused(load_real<V>(block.residual + at), splat<V>(block.r), t);
    store_code(block.y + at, to_code(t, block.max_code));
  }
}

template <bool TwoStep, bool Shortcut, class T, class Code>
void rows(const RequantizeBlock<T, Code>& block) {
  int64_t j = 0;
  for (; j + kLanes <= block.width; j += kLanes) columns<Vector, TwoStep, Shortcut>(block, j);
  for (; j < block.width; ++j) columns<float, TwoStep, Shortcut>(block, j);
}

template <class T, class Code>
void requantize_block(const RequantizeBlock<T, Code>& block) {
  if (block.acc_negative) {
    return block.residual ? rows<true, true>(block) : rows<true, false>(block);
  }
  block.residual ? rows<false, true>(block) : rows<false, false>(block);
}

}  // namespace

const RequantizeSimd requantize{requantize_block<float, float>, requantize_block<int32_t, uint8_t>};

}  // namespace apprentice::kernels::APPRENTICE_ISA
