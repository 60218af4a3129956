// Vectors run over output channels, so each sum is built tap by tap in the order of the reference.
// A register block is kVectors vectors of channels by kPixels pixels that have the same taps inside
// the image: a tap loads its weights once and broadcasts one input of each pixel from memory.
// Pixels in the middle of a row are blocked along the row; those at its left and right edge, which
// lack taps, down the column, as single pixels would wait for the latency of their few sums.
#include <apprentice/kernels/cpu/ordered_conv2d_simd_internal.h>
#include <apprentice/kernels/cpu/ordered_vector_internal.h>

namespace apprentice::kernels::APPRENTICE_ISA {
namespace {

/// Taps or pixels [begin, end) of an axis.
struct Range {
  int64_t begin, end;
};

/// Neighbouring pixels of a row or a column, from `p`, `q` on.
struct Pixels {
  int64_t p, q;
  int64_t x_step, y_step;  ///< from one to the next, in x and y
  Range rows, cols;        ///< taps inside the image, the same for all of them
};

APPRENTICE_INLINE Vector load_part(const float* from, int64_t count) {
  if (count >= kLanes) return load(from);
  Vector v{};
  for (int64_t l = 0; l < count; ++l) v[l] = from[l];
  return v;
}

/// Sums and codes, as far as wanted, of channels [o, out) of some pixels, at most a vector's lanes;
/// the first lies at `at`.
[[gnu::noinline]] void store_each(const OrderedConvBand& b, const Pixels& px, int64_t at, int64_t o,
                                  const Vector* sum, int pixels) {
  const int64_t count = b.out - o < kLanes ? b.out - o : kLanes;
  const Vector add = b.y ? load_part(b.b + o, count) : Vector{};
  const Vector factor = b.y ? load_part(b.a + o, count) : Vector{};
  for (int k = 0; k < pixels; ++k) {
    const int64_t first = at + k * px.y_step + o;
    const Vector code = to_code(fused(sum[k], factor, add), b.max_code);
    for (int64_t l = 0; l < count; ++l) {
      if (b.sums) b.sums[first + l] = sum[k][l];
      if (b.y) b.y[first + l] = (unsigned char)(code[l]);
    }
  }
}

/// The same; a whole vector of codes, the usual case, from registers.
template <int kPixels>
APPRENTICE_INLINE void store_results(const OrderedConvBand& b, const Pixels& px, int64_t at,
                                     int64_t o, const Vector (&sum)[kPixels]) {
  if (b.sums || b.out - o < kLanes) {
    Vector copy[kPixels];
#pragma GCC unroll 16
    for (int k = 0; k < kPixels; ++k) copy[k] = sum[k];
    return store_each(b, px, at, o, copy, kPixels);
  }
  const Vector add = load(b.b + o), factor = load(b.a + o);
  const int64_t y_step = px.y_step;
  unsigned char* y = b.y + at + o;
#pragma GCC unroll 16
  for (int k = 0; k < kPixels; ++k, y += y_step) {
    store_code(y, to_code(fused(sum[k], factor, add), b.max_code));
  }
}

/// Adds `taps` neighbouring taps to the sums. Every third pixel has a pointer of its own, which
/// reaches the next two by scaled indexing: a register for each would spill.
template <int kVectors, int kPixels>
APPRENTICE_INLINE void add_taps(const float* x, int64_t step, const float* w, int64_t padded_out,
                                int64_t taps, Vector (&sum)[kVectors][kPixels]) {
  constexpr int kPointers = (kPixels + 2) / 3;
  const float* at[kPointers];
#pragma GCC unroll 8
  for (int k = 0; k < kPointers; ++k) {
    at[k] = x + 3 * k * step;
    asm("" : "+r"(at[k]));  // else the compiler derives them from one another, in more registers
  }
  for (int64_t tap = 0; tap < taps; ++tap, w += padded_out) {
    Vector weight[kVectors];
#pragma GCC unroll 4
    for (int v = 0; v < kVectors; ++v) weight[v] = load(w + v * kLanes);
#pragma GCC unroll 16
    for (int k = 0; k < kPixels; ++k) {
      const Vector value = splat<Vector>(at[k / 3][k % 3 * step]);
#pragma GCC unroll 4
      for (int v = 0; v < kVectors; ++v) sum[v][k] = fused(value, weight[v], sum[v][k]);
    }
#pragma GCC unroll 8
    for (int k = 0; k < kPointers; ++k) ++at[k];
  }
}

/// Channels [o, o + kVectors * lanes) of kPixels pixels.
template <int kVectors, int kPixels>
void tile(const OrderedConvBand& b, const Pixels& px, int64_t o) {
  Vector sum[kVectors][kPixels] = {};
  const bool joined = b.dilation[1] == 1;  // the taps of a row lie side by side
  const int64_t columns = px.cols.end - px.cols.begin, x_row = b.dilation[0] * b.width * b.in;
  const int64_t taps = joined ? columns * b.in : b.in, runs = joined ? 1 : columns;
  const int64_t row = px.p * b.stride[0] - b.padding[0] + px.rows.begin * b.dilation[0];
  const int64_t col = px.q * b.stride[1] - b.padding[1] + px.cols.begin * b.dilation[1];
  const int64_t x_step = px.x_step, x_run = b.dilation[1] * b.in, padded_out = b.padded_out;
  const float* x = b.image + (row * b.width + col) * b.in;
  const float* w = b.weights + (px.rows.begin * b.kw + px.cols.begin) * b.in * padded_out + o;
  const int64_t w_run = b.in * padded_out, w_row = b.kw * w_run;
  for (int64_t r = px.rows.begin; r < px.rows.end; ++r, x += x_row, w += w_row) {
    for (int64_t s = 0; s < runs; ++s) {
      add_taps(x + s * x_run, x_step, w + s * w_run, padded_out, taps, sum);
    }
  }
  const int64_t at = (px.p * b.cols + px.q) * b.out;
#pragma GCC unroll 4
  for (int v = 0; v < kVectors; ++v, o += kLanes) {
    if (o < b.out) store_results(b, px, at, o, sum[v]);
  }
}

template <int... Counts>
struct List {};
using Tile = void (*)(const OrderedConvBand&, const Pixels&, int64_t o);

/// The tile of each number of pixels, behind an unused first.
template <int kVectors, class Counts>
struct Tiles;
template <int kVectors, int... Counts>
struct Tiles<kVectors, List<Counts...>> {
  static constexpr int64_t most = sizeof...(Counts);
  static constexpr Tile table[] = {nullptr, tile<kVectors, Counts>...};
};

/// Register blocks that leave room for the weights and one input.
#if defined(__AVX512F__)
using Tiles4 = Tiles<4, List<1, 2, 3, 4, 5, 6>>;
using Tiles2 = Tiles<2, List<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>>;
using Tiles1 = Tiles<1, List<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16>>;
#else
using Tiles2 = Tiles<2, List<1, 2, 3, 4, 5, 6>>;
using Tiles1 = Tiles<1, List<1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12>>;
#endif

/// Pixels of a band by the taps that they have: [begin, end) of an axis have all.
struct Band {
  const OrderedConvBand& b;
  Range rows, cols;
};

/// Taps of an axis that lie inside the image for pixel `i`.
APPRENTICE_INLINE Range taps_inside(const OrderedConvBand& b, int axis, int64_t i) {
  const int64_t first = i * b.stride[axis] - b.padding[axis], dilation = b.dilation[axis];
  const int64_t size = axis == 0 ? b.height : b.width, taps = axis == 0 ? b.kh : b.kw;
  Range t{0, taps};
  while (t.begin < taps && first + t.begin * dilation < 0) ++t.begin;
  while (t.end > t.begin && first + (t.end - 1) * dilation >= size) --t.end;
  return t;
}

/// Pixels of [begin, end) that have all taps of an axis.
APPRENTICE_INLINE Range whole(const OrderedConvBand& b, int axis, int64_t begin, int64_t end) {
  const auto all = [&](int64_t i) {
    const Range t = taps_inside(b, axis, i);
    return t.begin == 0 && t.end == (axis == 0 ? b.kh : b.kw);
  };
  while (begin < end && !all(begin)) ++begin;
  while (end > begin && !all(end - 1)) --end;
  return {begin, end};
}

/// `count` pixels from `px` on, in tiles of nearly equal size.
template <class Kind>
APPRENTICE_INLINE void run_of(const OrderedConvBand& b, Pixels px, bool down, int64_t count,
                              int64_t o) {
  px.rows = taps_inside(b, 0, px.p);
  px.cols = taps_inside(b, 1, px.q);
  px.x_step = (down ? b.stride[0] * b.width : b.stride[1]) * b.in;
  px.y_step = (down ? b.cols : 1) * b.out;
  int64_t tiles = (count + Kind::most - 1) / Kind::most;
  for (; count > 0; --tiles) {
    const int64_t pixels = tiles == 1 ? count : (count + tiles - 1) / tiles;
    Kind::table[pixels](b, px, o);
    (down ? px.p : px.q) += pixels;
    count -= pixels;
  }
}

/// Channels from `o` on of the whole band.
template <class Kind>
void channels(const Band& band, int64_t o) {
  const OrderedConvBand& b = band.b;
  for (int64_t p = b.begin; p < b.end; ++p) {
    const bool edge = p < band.rows.begin || p >= band.rows.end;
    run_of<Kind>(b, {p, band.cols.begin, 0, 0, {}, {}}, false, band.cols.end - band.cols.begin, o);
    for (int64_t q = 0; edge && q < b.cols; ++q) {
      if (q == band.cols.begin) q = band.cols.end;
      if (q < b.cols) run_of<Kind>(b, {p, q, 0, 0, {}, {}}, false, 1, o);
    }
  }
  for (int64_t q = 0; q < b.cols; ++q) {
    if (q == band.cols.begin) q = band.cols.end;
    if (q >= b.cols) break;
    run_of<Kind>(b, {band.rows.begin, q, 0, 0, {}, {}}, true, band.rows.end - band.rows.begin, o);
  }
}

void band(const OrderedConvBand& b) {
  const Band band{b, whole(b, 0, b.begin, b.end), whole(b, 1, 0, b.cols)};
  int64_t o = 0;
  // A vector that is partly or wholly behind the last channel costs as much as a full one.
#if defined(__AVX512F__)
  for (; b.out - o > 2 * kLanes; o += 4 * kLanes) channels<Tiles4>(band, o);
#endif
  for (; b.out - o > kLanes; o += 2 * kLanes) channels<Tiles2>(band, o);
  if (o < b.out) channels<Tiles1>(band, o);
}

}  // namespace

const OrderedConvSimd ordered_conv2d{band};

}  // namespace apprentice::kernels::APPRENTICE_ISA
