#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/ordered_linear_simd_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/ordered_linear.h>

namespace apprentice::kernels {
namespace {

constexpr int64_t kTaskRows = 48;
/// Multiply-accumulates that are worth waking another thread.
constexpr int64_t kParallelWork = 200'000;

/// Panels of some outputs each: bias, then weights [depth, outputs], zero behind the last.
struct Panels final : Prepacked {
  std::vector<float> values;
  int64_t count = 0, stride = 0;

  int64_t bytes() const override { return int64_t(values.size() * sizeof(float)); }
  void fill(const OrderedLinear::Args& args, int64_t outputs) {
    const int64_t n = args.w.size(0), depth = args.w.size(1);
    count = (n + outputs - 1) / outputs;
    stride = (depth + 1) * outputs;
    values.assign(size_t(count * stride), 0.0f);
    for (int64_t j = 0; j < n; ++j) {
      float* to = values.data() + j / outputs * stride + j % outputs;
      if (args.bias) *to = args.bias(j);
      for (int64_t k = 0; k < depth; ++k) to[(k + 1) * outputs] = args.w.data[j * depth + k];
    }
  }
};

std::shared_ptr<const Prepacked> prepack(const OrderedLinearSimd& simd,
                                         const OrderedLinear::Args& args) {
  auto panels = std::make_shared<Panels>();
  panels->fill(args, simd.panel_outputs);
  return panels;
}

/// Made for one call, in memory of the calling thread that grows and stays.
const Panels& panels_of(const OrderedLinearSimd& simd, const OrderedLinear::Args& args) {
  if (args.prepacked) return static_cast<const Panels&>(*args.prepacked);
  static thread_local Panels own;
  own.fill(args, simd.panel_outputs);
  return own;
}

void run(const OrderedLinearSimd& simd, const OrderedLinear::Args& args) {
  const Panels& panels = panels_of(simd, args);
  const int64_t m = args.x.size(0), depth = args.w.size(1), n = args.w.size(0);
  const int64_t blocks = (m + kTaskRows - 1) / kTaskRows, tasks = blocks * panels.count;
  const auto task = [&](int64_t i) {
    const int64_t row = i % blocks * kTaskRows, panel = i / blocks;
    const int64_t first = panel * simd.panel_outputs;
    simd.block({args.x.data + row * depth, panels.values.data() + panel * panels.stride,
                args.y.data + row * n + first, std::min(kTaskRows, m - row), depth,
                std::min(simd.panel_outputs, n - first), n});
  };
  for_each_task(tasks, task, m * n * depth < kParallelWork);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_linear) {
  using namespace apprentice::kernels;
  add_simd<OrderedLinear>(APPRENTICE_SIMD_SET(ordered_linear), run, nullptr, prepack, true);
}
