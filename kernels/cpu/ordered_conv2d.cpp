#include <algorithm>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/cpu/ordered_conv2d_simd_internal.h>
#include <apprentice/kernels/cpu/parallel_internal.h>
#include <apprentice/kernels/cpu/simd_registration_internal.h>
#include <apprentice/kernels/ordered_conv2d.h>

namespace apprentice::kernels {
namespace {

/// Weights [kh, kw, in, padded out]: output channels innermost, zero where padded.
struct Weights final : Prepacked {
  std::vector<float> values;
  int64_t padded_out = 0;

  int64_t bytes() const override { return int64_t(values.size() * sizeof(float)); }
  void fill(const View4<const float>& w) {
    const int64_t out = w.size(0), taps = w.size(1) * w.size(2) * w.size(3);
    padded_out = ordered_padded(out);
    values.assign(size_t(taps * padded_out), 0.0f);
    for (int64_t o = 0; o < out; ++o) {
      for (int64_t t = 0; t < taps; ++t) values[size_t(t * padded_out + o)] = w.data[o * taps + t];
    }
  }
};

std::shared_ptr<const Prepacked> prepack(const OrderedConvSimd&, const OrderedConv2d::Args& args) {
  auto weights = std::make_shared<Weights>();
  weights->fill(args.w);
  return weights;
}

/// Made for one call, in memory of the calling thread that grows and stays.
const Weights& weights_of(const OrderedConv2d::Args& args) {
  if (args.prepacked) return static_cast<const Weights&>(*args.prepacked);
  static thread_local Weights own;
  own.fill(args.w);
  return own;
}

OrderedConvBand band_of(const OrderedConv2d::Args& args, const Weights& weights) {
  const Conv2dGeometry& g = args.geometry;
  OrderedConvBand b{};
  b.weights = weights.values.data();
  b.height = args.x.size(1), b.width = args.x.size(2), b.in = args.x.size(3);
  b.kh = args.w.size(1), b.kw = args.w.size(2);
  b.out = args.w.size(0), b.padded_out = weights.padded_out;
  for (size_t axis = 0; axis < 2; ++axis) {
    b.stride[axis] = g.stride[axis];
    b.padding[axis] = g.padding[axis];
    b.dilation[axis] = g.dilation[axis];
  }
  b.cols = g.out_size(1, b.width, b.kw);
  b.a = args.epilogue.a.data, b.b = args.epilogue.b.data;
  b.max_code = float(args.epilogue.max_code);
  return b;
}

void run(const OrderedConvSimd& simd, const OrderedConv2d::Args& args) {
  const OrderedConvBand whole = band_of(args, weights_of(args));
  const int64_t images = args.x.size(0);
  const int64_t rows = args.geometry.out_size(0, whole.height, whole.kh);
  // As few bands as give every thread one, so that edges are long.
  const int64_t threads = task_threads();
  const int64_t bands = std::min(rows, (threads + images - 1) / std::max<int64_t>(images, 1));
  const int64_t tasks = images * bands;
  for_each_task(tasks, [&](int64_t task) {
    OrderedConvBand b = whole;
    const int64_t image = task / bands, band = task % bands;
    b.begin = rows * band / bands, b.end = rows * (band + 1) / bands;
    b.image = args.x.data + image * b.height * b.width * b.in;
    const int64_t at = image * rows * b.cols * b.out;
    b.sums = args.sums ? args.sums.data + at : nullptr;
    b.y = args.y ? args.y.data + at : nullptr;
    simd.band(b);
  });
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(ordered_conv2d) {
  using namespace apprentice::kernels;
  add_simd<OrderedConv2d>(APPRENTICE_SIMD_SET(ordered_conv2d), run, nullptr, prepack, true);
}
