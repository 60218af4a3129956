#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/requantize_simd_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/epilogue.h>

namespace apprentice::kernels {
namespace {

/// Elements of one task: its inputs and outputs fit the second-level cache.
constexpr int64_t kTaskElements = 16 * 1024;

void run_block(const RequantizeSimd& simd, const RequantizeBlock<float, float>& block) {
  simd.of_f32(block);
}
void run_block(const RequantizeSimd& simd, const RequantizeBlock<int32_t, uint8_t>& block) {
  simd.of_s32(block);
}

template <class T>
void run(const RequantizeSimd& simd, const typename Requantize<T>::Args& args) {
  const Epilogue& e = args.epilogue;
  const int64_t m = args.y.size(0), c = args.y.size(1);
  const int64_t rows = std::max<int64_t>(1, kTaskElements / std::max<int64_t>(c, 1));
#pragma omp parallel for if (m > rows)
  for (int64_t first = 0; first < m; first += rows) {
    const int64_t at = first * c;
    run_block(simd, {args.acc.data + at, args.acc_negative ? args.acc_negative.data + at : nullptr,
                     args.residual ? args.residual.data + at : nullptr, args.y.data + at,
                     std::min(rows, m - first), c, e.a.data, e.a_negative.data, e.b.data, e.r,
                     float(e.max_code)});
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(requantize) {
  using namespace apprentice::kernels;
  add_simd<Requantize<float>>(APPRENTICE_SIMD_SET(requantize), run<float>);
  add_simd<Requantize<int32_t>>(APPRENTICE_SIMD_SET(requantize), run<int32_t>);
}
