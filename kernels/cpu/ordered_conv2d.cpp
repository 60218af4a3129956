#include <omp.h>

#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/ordered_conv2d_simd_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/ordered_conv2d.h>

namespace apprentice::kernels {
namespace {

/// Weights with output channels innermost and constants, padded; memory of the calling thread that
/// grows and stays.
struct Repacked {
  std::vector<float> weights, a, b;
  int64_t out = 0;

  void fill(const OrderedConv2d::Args& args) {
    const int64_t channels = args.w.size(0), taps = args.w.numel() / std::max<int64_t>(channels, 1);
    out = (channels + kOrderedPadding - 1) / kOrderedPadding * kOrderedPadding;
    weights.assign(size_t(taps * out), 0.0f);
    for (int64_t o = 0; o < channels; ++o) {
      for (int64_t t = 0; t < taps; ++t) weights[size_t(t * out + o)] = args.w.data[o * taps + t];
    }
    if (!args.y) return;
    a.assign(size_t(out), 0.0f);
    b.assign(size_t(out), 0.0f);
    std::copy_n(args.epilogue.a.data, channels, a.data());
    std::copy_n(args.epilogue.b.data, channels, b.data());
  }
};

OrderedConvRow row_of(const OrderedConv2d::Args& args, const Repacked& repacked) {
  const Conv2dGeometry& g = args.geometry;
  OrderedConvRow r{};
  r.weights = repacked.weights.data();
  r.height = args.x.size(1), r.width = args.x.size(2), r.in = args.x.size(3);
  r.kh = args.w.size(1), r.kw = args.w.size(2);
  r.out = args.w.size(0), r.padded_out = repacked.out;
  for (size_t axis = 0; axis < 2; ++axis) {
    r.stride[axis] = g.stride[axis];
    r.padding[axis] = g.padding[axis];
    r.dilation[axis] = g.dilation[axis];
  }
  r.cols = g.out_size(1, r.width, r.kw);
  r.a = repacked.a.data(), r.b = repacked.b.data();
  r.max_code = float(args.epilogue.max_code);
  return r;
}

void run(const OrderedConvSimd& simd, const OrderedConv2d::Args& args) {
  static thread_local Repacked memory;
  Repacked& repacked = memory;
  repacked.fill(args);
  const OrderedConvRow whole = row_of(args, repacked);
  const int64_t rows = args.geometry.out_size(0, whole.height, whole.kh);
  const int64_t tasks = args.x.size(0) * rows;
#pragma omp parallel for if (tasks > 1 && !omp_in_parallel())
  for (int64_t task = 0; task < tasks; ++task) {
    OrderedConvRow r = whole;
    r.p = task % rows;
    r.image = args.x.data + task / rows * r.height * r.width * r.in;
    const int64_t at = task * r.cols * r.out;
    r.sums = args.sums ? args.sums.data + at : nullptr;
    r.y = args.y ? args.y.data + at : nullptr;
    simd.row(r);
  }
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_conv2d) {
  using namespace apprentice::kernels;
  add_simd<OrderedConv2d>(APPRENTICE_SIMD_SET(ordered_conv2d), run);
}
