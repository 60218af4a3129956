#include <omp.h>

#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/ordered_linear_simd_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/ordered_linear.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kTaskRows = 32;

/// Weights with outputs innermost and bias, padded; memory of the calling thread that grows and
/// stays.
struct Repacked {
  std::vector<float> weights, bias;
  int64_t out = 0;

  void fill(const OrderedLinear::Args& args) {
    const int64_t n = args.w.size(0), depth = args.w.size(1);
    out = (n + kOrderedOutputs - 1) / kOrderedOutputs * kOrderedOutputs;
    weights.assign(size_t(depth * out), 0.0f);
    bias.assign(size_t(out), 0.0f);
    for (int64_t j = 0; j < n; ++j) {
      for (int64_t k = 0; k < depth; ++k) weights[size_t(k * out + j)] = args.w(j, k);
      if (args.bias) bias[size_t(j)] = args.bias(j);
    }
  }
};

void run(const OrderedLinearSimd& simd, const OrderedLinear::Args& args) {
  static thread_local Repacked memory;
  Repacked& repacked = memory;
  repacked.fill(args);
  const int64_t m = args.x.size(0), depth = args.w.size(1), n = args.w.size(0);
#pragma omp parallel for if (m > kTaskRows && !omp_in_parallel())
  for (int64_t row = 0; row < m; row += kTaskRows) {
    simd.block({args.x.data + row * depth, repacked.weights.data(), repacked.bias.data(),
                args.y.data + row * n, std::min(kTaskRows, m - row), depth, n, repacked.out});
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_linear) {
  using namespace apprentice::kernels;
  add_simd<OrderedLinear>(APPRENTICE_SIMD_SET(ordered_linear), run);
}
