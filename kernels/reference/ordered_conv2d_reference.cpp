#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_conv2d.h>

namespace apprentice::kernels {
namespace {

float convolve(const OrderedConv2d::Args& args, int64_t n, int64_t p, int64_t q, int64_t o) {
  const Conv2dGeometry& g = args.geometry;
  float sum = 0;
  for (int64_t r = 0; r < args.w.size(1); ++r) {
    const int64_t row = p * g.stride[0] + r * g.dilation[0] - g.padding[0];
    if (row < 0 || row >= args.x.size(1)) continue;
    for (int64_t s = 0; s < args.w.size(2); ++s) {
      const int64_t col = q * g.stride[1] + s * g.dilation[1] - g.padding[1];
      if (col < 0 || col >= args.x.size(2)) continue;
      for (int64_t i = 0; i < args.w.size(3); ++i) {
        sum = std::fmaf(args.x(n, row, col, i), args.w(o, r, s, i), sum);
      }
    }
  }
  return sum;
}

void run(const OrderedConv2d::Args& args, Stream) {
  const auto& sizes = args.y ? args.y.sizes : args.sums.sizes;
  const int64_t rows = sizes[0] * sizes[1];
#pragma omp parallel for
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / sizes[1], p = row % sizes[1];
    for (int64_t q = 0; q < sizes[2]; ++q) {
      for (int64_t o = 0; o < sizes[3]; ++o) {
        const float sum = convolve(args, n, p, q, o);
        if (args.sums) args.sums(n, p, q, o) = sum;
        const Epilogue& e = args.epilogue;
        if (args.y) {
          args.y(n, p, q, o) = uint8_t(round_to_code(epilogue_value(e, o, sum), e.max_code));
        }
      }
    }
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_conv2d_reference) {
  using namespace apprentice::kernels;
  kernel_table<OrderedConv2d>().add(
      {"ordered_conv2d_f32_cpu_reference", "reference", 0, nullptr, run});
}
