#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_linear.h>

namespace apprentice::kernels {
namespace {

void run(const OrderedLinear::Args& args, Stream) {
#pragma omp parallel for
  for (int64_t i = 0; i < args.x.size(0); ++i) {
    for (int64_t j = 0; j < args.w.size(0); ++j) {
      float sum = args.bias ? args.bias(j) : 0;
      for (int64_t k = 0; k < args.w.size(1); ++k) sum = std::fmaf(args.x(i, k), args.w(j, k), sum);
      args.y(i, j) = sum;
    }
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_linear_reference) {
  using namespace apprentice::kernels;
  kernel_table<OrderedLinear>().add(
      {"ordered_linear_f32_cpu_reference", "reference", 0, nullptr, run});
}
