#pragma once

#include <cmath>

#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/kernels/ordered_pool.h>
#include <apprentice/kernels/cuda/reduce_axis_internal.cuh>

// What a quantized network computes in f32, in the one order that docs/numerics.md asks for: the
// stem, the classifier, and the pooling before it. All views, weights and epilogue too, are of
// device memory.
namespace apprentice::kernels::SIMT_NS {

/// sums[pixel, o] = bias[o] or 0, then sum = fmaf(x, w[o, k], sum) over ascending k = (r, s, i),
/// but taps outside of the image; y = codes of the sums. x [n, h, w, in], w [out, kh, kw, in],
/// pixels (n, p, q); a linear map has images of one pixel.
struct OrderedSums {
  const float *x, *w, *bias;
  float* sums;  ///< or null
  uint8_t* y;   ///< or null
  const float *a, *b;
  float max_code;
  int64_t pixels;
  int in, height, width, kernel_h, kernel_w, out_h, out_w, out;
  int stride_h, stride_w, padding_h, padding_w, dilation_h, dilation_w;

  SIMT_HD int depth() const { return kernel_h * kernel_w * in; }
  SIMT_HD int across() const { return (out + 31) / 32; }
  SIMT_HD int64_t tiles() const { return (pixels + 31) / 32 * across(); }
};

/// The taps of one pixel.
struct OrderedPixel {
  int64_t image;  ///< -1: there is no such pixel
  int row, column;

  SIMT_FN OrderedPixel(const OrderedSums& g, int64_t pixel)
      : image(pixel < g.pixels ? pixel / (int64_t(g.out_h) * g.out_w) : -1),
        row(int(pixel / g.out_w % g.out_h) * g.stride_h - g.padding_h),
        column(int(pixel % g.out_w) * g.stride_w - g.padding_w) {}

  /// Where its x of tap k lies, or -1.
  SIMT_FN int64_t tap(const OrderedSums& g, int k) const {
    const int i = k % g.in, at = k / g.in;
    const int h = row + at / g.kernel_w * g.dilation_h, w = column + at % g.kernel_w * g.dilation_w;
    const bool inside =
        image >= 0 && unsigned(h) < unsigned(g.height) && unsigned(w) < unsigned(g.width);
    return inside ? ((image * g.height + h) * g.width + w) * g.in + i : -1;
  }
};

/// A slab of kSlab taps in shared memory: x of 32 pixels and w of 32 outputs.
inline constexpr int kOrderedSlab = 32;
struct OrderedSlab {
  alignas(16) float x[kOrderedSlab][32];
  float w[kOrderedSlab][33];      ///< a column more: its columns are written by one warp
  uint32_t inside[kOrderedSlab];  ///< bit p: pixel p has the tap
};

/// Warp t copies taps t, t + 8, ... of all pixels, a lane each, and outputs t, t + 8, ... of all
/// taps.
SIMT_FN void load_slab(const OrderedSums& g, OrderedSlab& slab, const OrderedPixel& pixel,
                       int first, int output) {
  const int lane = int(threadIdx.x) % 32, depth = g.depth();
  for (int k = int(threadIdx.x) / 32; k < kOrderedSlab; k += kTeamBlock / 32) {
    const int64_t at = first + k < depth ? pixel.tap(g, first + k) : -1;
    slab.x[k][lane] = at >= 0 ? g.x[at] : 0.0f;
    const uint32_t inside = simt::ballot(at >= 0);
    if (lane == 0) slab.inside[k] = inside;
    const bool is_weight = output + k < g.out && first + lane < depth;
    slab.w[lane][k] = is_weight ? g.w[int64_t(output + k) * depth + first + lane] : 0.0f;
  }
}

/// A block makes tiles of 32 pixels and 32 outputs: lane l has output l, warp t pixels 4t to 4t +
/// 3.
SIMT_KERNEL_BOUNDS(kTeamBlock, 4) ordered_sums_kernel(OrderedSums g) {
  SIMT_SHARED(OrderedSlab, slabs, 1);
  OrderedSlab& slab = slabs[0];
  const int lane = int(threadIdx.x) % 32, quad = int(threadIdx.x) / 32 * 4, depth = g.depth();
  for (int64_t tile = blockIdx.x; tile < g.tiles(); tile += gridDim.x) {
    const int first_output = int(tile % g.across()) * 32, o = first_output + lane;
    const int64_t first_pixel = tile / g.across() * 32;
    const OrderedPixel pixel(g, first_pixel + lane);
    const float bias = g.bias && o < g.out ? g.bias[o] : 0.0f;
    float sums[4] = {bias, bias, bias, bias};
    for (int first = 0; first < depth; first += kOrderedSlab) {
      load_slab(g, slab, pixel, first, first_output);
      simt::sync_block();
      for (int k = 0; k < kOrderedSlab && first + k < depth; ++k) {
        const float w = slab.w[k][lane];
        const uint32_t inside = slab.inside[k] >> quad;
        SIMT_UNROLL
        for (int p = 0; p < 4; ++p)
          if (inside >> p & 1) sums[p] = fmaf(slab.x[k][quad + p], w, sums[p]);
      }
      simt::sync_block();
    }
    for (int p = 0; p < 4 && o < g.out; ++p) {
      const int64_t at = (first_pixel + quad + p) * g.out + o;
      if (first_pixel + quad + p >= g.pixels) break;
      if (g.sums) g.sums[at] = sums[p];
      if (!g.y) continue;
      const float t = fmaf(sums[p], g.a[o], g.b[o]);
      g.y[at] = uint8_t(!(t > 0) ? 0.0f : rintf(t < g.max_code ? t : g.max_code));
    }
  }
}

inline void ordered_sums(const OrderedSums& sums, simt::Stream stream) {
  const auto blocks = unsigned(std::clamp<int64_t>(sums.tiles(), 1, 132 * 16));
  simt::launch(ordered_sums_kernel, blocks, kTeamBlock, 0, stream, sums);
}

inline void ordered_conv2d(const OrderedConv2d::Args& args, simt::Stream stream) {
  const auto& sizes = args.y ? args.y.sizes : args.sums.sizes;
  const Conv2dGeometry& g = args.geometry;
  OrderedSums s{};
  s.x = args.x.data, s.w = args.w.data, s.sums = args.sums.data, s.y = args.y.data;
  s.a = args.epilogue.a.data, s.b = args.epilogue.b.data,
  s.max_code = float(args.epilogue.max_code);
  s.in = int(args.x.size(3)), s.height = int(args.x.size(1)), s.width = int(args.x.size(2));
  s.kernel_h = int(args.w.size(1)), s.kernel_w = int(args.w.size(2));
  s.pixels = sizes[0] * sizes[1] * sizes[2];
  s.out_h = int(sizes[1]), s.out_w = int(sizes[2]), s.out = int(sizes[3]);
  s.stride_h = int(g.stride[0]), s.stride_w = int(g.stride[1]);
  s.padding_h = int(g.padding[0]), s.padding_w = int(g.padding[1]);
  s.dilation_h = int(g.dilation[0]), s.dilation_w = int(g.dilation[1]);
  ordered_sums(s, stream);
}

inline void ordered_linear(const OrderedLinear::Args& args, simt::Stream stream) {
  OrderedSums s{};
  s.x = args.x.data, s.w = args.w.data, s.bias = args.bias.data, s.sums = args.y.data;
  s.in = int(args.x.size(1)), s.pixels = args.x.size(0), s.out = int(args.w.size(0));
  s.height = s.width = s.kernel_h = s.kernel_w = s.out_h = s.out_w = 1;
  s.stride_h = s.stride_w = s.dilation_h = s.dilation_w = 1;
  ordered_sums(s, stream);
}

/// Integers of T, summed exactly.
template <class T>
struct CodeSource : PlainColumns {
  using State = int32_t;
  using Inputs = T;
  const T* x;
  int64_t axis, inner;
  SIMT_FN static State empty() { return 0; }
  SIMT_FN static State combine(State a, State b) { return a + b; }
  SIMT_FN Inputs load(int64_t o, int64_t a, int64_t i) const {
    return x[(o * axis + a) * inner + i];
  }
  SIMT_FN State add(State state, Column, T code, int64_t) const { return state + int32_t(code); }
};
struct ScaledTarget {
  float* y;
  Number<float> step;
  float pixels;
  SIMT_FN void store(int32_t sum, int64_t at) const { y[at] = float(sum) * (step.get() / pixels); }
};

/// x as [n, pixels, c], whose axis is summed.
template <class T>
std::array<int64_t, 3> ordered_pool_sizes(const View4<const T>& x) {
  return {x.size(0), x.size(1) * x.size(2), x.size(3)};
}
/// In one part, however long: forwards of packed networks take no memory.
template <class T>
void ordered_pool(const typename OrderedPool<T>::Args& args, simt::Stream stream) {
  const auto sizes = ordered_pool_sizes(args.x);
  const ReduceTiles tiles = reduce_tiles(sizes, /*most=*/1);
  simt::launch(reduce_tiles_kernel<CodeSource<T>, ScaledTarget>, tiles.blocks(), kTeamBlock, 0,
               stream, CodeSource<T>{{}, args.x.data, sizes[1], sizes[2]},
               ScaledTarget{args.y.data, args.step, float(sizes[1])}, tiles);
}

}  // namespace apprentice::kernels::SIMT_NS
