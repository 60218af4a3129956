#include <algorithm>
#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/elementwise.h>
#include <apprentice/kernels/non_finite.h>

namespace apprentice::kernels {
namespace {

/// x - x is 0 for a finite x, else NaN: so vectorises the question whether there is anything to
/// count, where isfinite does not.
int64_t count_non_finite(View1<const float> x) {
  const float* v = x.data;
  const int64_t n = x.numel();
  float sum = 0;
#pragma omp parallel for simd schedule(static) reduction(+ : sum) if (n >= kParallelElements)
  for (int64_t i = 0; i < n; ++i) sum += v[i] - v[i];
  return sum == 0 ? 0 : std::count_if(v, v + n, [](float u) { return !std::isfinite(u); });
}

void non_finite(const NonFinite<float>::Args& a) {
  for (size_t i = 0; i < a.tensors.size(); ++i) {
    const int64_t count = count_non_finite(a.tensors[i]);
    if (a.counts) a.counts(i) += count;
    if (a.total) a.total(0) += count;
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(non_finite) {
  using namespace apprentice::kernels;
  add_portable<NonFinite<float>>(non_finite);
}
