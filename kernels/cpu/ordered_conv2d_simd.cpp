// Vectors run over output channels, so each sum is built tap by tap in the order of the reference.
// A register block is one vector of channels by kPixels pixels whose windows lie inside the row's
// width; pixels at the left and right edge go one by one, without the taps outside.
#include <apprentice/kernels/cpu/ordered_conv2d_simd_internal.h>
#include <apprentice/kernels/cpu/ordered_vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Taps [begin, end) of an axis that lie inside `size` from `first` on.
struct Taps {
  int64_t begin, end;
};
APPRENTICE_INLINE Taps inside(int64_t first, int64_t dilation, int64_t taps, int64_t size) {
  Taps t{0, taps};
  while (t.begin < taps && first + t.begin * dilation < 0) ++t.begin;
  while (t.end > t.begin && first + (t.end - 1) * dilation >= size) --t.end;
  return t;
}

APPRENTICE_INLINE void store_results(const OrderedConvRow& r, int64_t q, int64_t o, Vector sum) {
  const int64_t at = q * r.out + o, count = r.out - o < kLanes ? r.out - o : kLanes;
  if (r.sums) {
    if (count == kLanes)
      store(r.sums + at, sum);
    else
      for (int64_t l = 0; l < count; ++l) r.sums[at + l] = sum[l];
  }
  if (!r.y) return;
  const Vector code = to_code(fused(sum, load(r.a + o), load(r.b + o)), r.max_code);
  if (count == kLanes)
    store_code(r.y + at, code);
  else
    for (int64_t l = 0; l < count; ++l) r.y[at + l] = (unsigned char)(code[l]);
}

/// Channels [o, o + lanes) of kPixels pixels from q on, columns of the window in `cols`.
template <int kPixels>
APPRENTICE_INLINE void pixels(const OrderedConvRow& r, Taps rows, Taps cols, int64_t q, int64_t o) {
  Vector sum[kPixels] = {};
  const int64_t step = r.stride[1] * r.in;
  const int64_t first_row = r.p * r.stride[0] - r.padding[0];
  const int64_t first_col = q * r.stride[1] - r.padding[1];
  for (int64_t kr = rows.begin; kr < rows.end; ++kr) {
    const float* row = r.image + (first_row + kr * r.dilation[0]) * r.width * r.in;
    for (int64_t ks = cols.begin; ks < cols.end; ++ks) {
      const float* x = row + (first_col + ks * r.dilation[1]) * r.in;
      const float* w = r.weights + (kr * r.kw + ks) * r.in * r.padded_out + o;
      for (int64_t i = 0; i < r.in; ++i) {
        const Vector weight = load(w + i * r.padded_out);
#pragma GCC unroll 10
        for (int k = 0; k < kPixels; ++k) {
          sum[k] = fused(splat<Vector>(x[k * step + i]), weight, sum[k]);
        }
      }
    }
  }
#pragma GCC unroll 10
  for (int k = 0; k < kPixels; ++k) store_results(r, q + k, o, sum[k]);
}

/// The same for `count` pixels, at most kMost.
constexpr int kMost = 10;
template <int kPixels = kMost>
void some_pixels(const OrderedConvRow& r, Taps rows, Taps cols, int64_t q, int64_t o,
                 int64_t count) {
  if constexpr (kPixels > 1) {
    if (count < kPixels) return some_pixels<kPixels - 1>(r, rows, cols, q, o, count);
  }
  pixels<kPixels>(r, rows, cols, q, o);
}

void row(const OrderedConvRow& r) {
  const Taps rows = inside(r.p * r.stride[0] - r.padding[0], r.dilation[0], r.kh, r.height);
  // Pixels [first, end) have all taps of a row inside.
  const auto whole = [&](int64_t q) {
    const Taps t = inside(q * r.stride[1] - r.padding[1], r.dilation[1], r.kw, r.width);
    return t.begin == 0 && t.end == r.kw;
  };
  int64_t first = 0, end = r.cols;
  while (first < end && !whole(first)) ++first;
  while (end > first && !whole(end - 1)) --end;
  for (int64_t o = 0; o < r.out; o += kLanes) {
    for (int64_t q = 0; q < r.cols;) {
      int64_t count = 1;
      if (q >= first && q < end) {
        const int64_t tiles = (end - q + kMost - 1) / kMost;
        count = (end - q + tiles - 1) / tiles;
      }
      const Taps cols = inside(q * r.stride[1] - r.padding[1], r.dilation[1], r.kw, r.width);
      some_pixels(r, rows, cols, q, o, count);
      q += count;
    }
  }
}

}  // namespace

const OrderedConvSimd ordered_conv2d{row};

}  // namespace apprentice::kernels::APPRENTICE_ISA
