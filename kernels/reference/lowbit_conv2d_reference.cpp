#include <algorithm>
#include <string>
#include <vector>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/lowbit_conv2d.h>

namespace apprentice::kernels {
namespace {

/// Codes of the weights, one byte each, in the order of the file.
struct Decoded final : Prepacked {
  std::vector<int8_t> codes;
  int64_t bytes() const override { return int64_t(codes.size()); }
};

template <int Bits>
std::shared_ptr<const Prepacked> decode(const typename LowbitConv2d<Bits>::Args& args) {
  auto decoded = std::make_shared<Decoded>();
  const PackedCodes<Bits>& w = args.weight;
  decoded->codes.resize(size_t(w.rows * w.cols));
  unpack_codes(w, View2<int8_t>{decoded->codes.data(), {w.rows, w.cols}});
  return decoded;
}

struct Sums {
  int32_t acc = 0, negative = 0;
};

/// Adds x * t of one tap; with two steps, x where t = +1 and x where t = -1.
void add_tap(Sums& sums, const uint8_t* x, const int8_t* t, int64_t channels, bool two_step) {
  int32_t acc = 0, negative = 0;
  if (two_step) {
    for (int64_t i = 0; i < channels; ++i) {
      acc += t[i] > 0 ? x[i] : 0;
      negative += t[i] < 0 ? x[i] : 0;
    }
  } else {
    for (int64_t i = 0; i < channels; ++i) acc += int32_t(x[i]) * t[i];
  }
  sums.acc += acc;
  sums.negative += negative;
}

template <class Args>
Sums convolve(const Args& args, const int8_t* codes, int64_t n, int64_t p, int64_t q, int64_t o) {
  const Conv2dGeometry& g = args.geometry;
  const auto [kh, kw] = args.kernel_size;
  const int64_t group_in = args.x.size(3) / g.groups;
  const int64_t first = o / (args.weight.rows / g.groups) * group_in;
  Sums sums;
  for (int64_t r = 0; r < kh; ++r) {
    const int64_t row = p * g.stride[0] + r * g.dilation[0] - g.padding[0];
    if (row < 0 || row >= args.x.size(1)) continue;
    for (int64_t s = 0; s < kw; ++s) {
      const int64_t col = q * g.stride[1] + s * g.dilation[1] - g.padding[1];
      if (col < 0 || col >= args.x.size(2)) continue;
      const int8_t* tap = codes + o * args.weight.cols + (r * kw + s) * group_in;
      add_tap(sums, &args.x(n, row, col, first), tap, group_in, args.two_step);
    }
  }
  return sums;
}

/// Code of the shortcut for channel o of output pixel (p, q), read through option A.
template <class Args>
float shortcut(const Args& args, int64_t n, int64_t p, int64_t q, int64_t o) {
  const auto& x = args.residual;
  const int64_t stride = x.size(1) == args.y.size(1) ? 1 : 2;
  const int64_t c = o - (args.y.size(3) - x.size(3)) / 2;
  return c < 0 || c >= x.size(3) ? 0.0f : float(x(n, p * stride, q * stride, c));
}

template <class Args>
void finish(const Args& args, const Sums& sums, int64_t n, int64_t p, int64_t q, int64_t o) {
  if (args.acc) args.acc(n, p, q, o) = sums.acc;
  if (args.acc_negative) args.acc_negative(n, p, q, o) = sums.negative;
  if (args.acc_f32) args.acc_f32(n, p, q, o) = float(sums.acc);
  if (!args.y) return;
  const Epilogue& e = args.epilogue;
  float t = args.two_step ? epilogue_value(e, o, float(sums.acc), float(sums.negative))
                          : epilogue_value(e, o, float(sums.acc));
  if (args.residual) t = add_shortcut(e, t, shortcut(args, n, p, q, o));
  args.y(n, p, q, o) = uint8_t(round_to_code(t, e.max_code));
}

template <int Bits>
void run(const typename LowbitConv2d<Bits>::Args& args, Stream) {
  std::shared_ptr<const Prepacked> own;
  if (!args.prepacked) own = decode<Bits>(args);
  const auto* weights = static_cast<const Decoded*>(own ? own.get() : args.prepacked);
  const auto& sizes = args.y ? args.y.sizes : args.acc ? args.acc.sizes : args.acc_f32.sizes;
  const int64_t rows = sizes[0] * sizes[1];
#pragma omp parallel for
  for (int64_t row = 0; row < rows; ++row) {
    const int64_t n = row / sizes[1], p = row % sizes[1];
    for (int64_t q = 0; q < sizes[2]; ++q) {
      for (int64_t o = 0; o < sizes[3]; ++o) {
        finish(args, convolve(args, weights->codes.data(), n, p, q, o), n, p, q, o);
      }
    }
  }
}

template <int Bits>
void add() {
  using Op = LowbitConv2d<Bits>;
  kernel_table<Op>().add({std::string(Op::name) + "_" + std::string(Op::types) + "_cpu_reference",
                          "reference", 0, nullptr, run<Bits>, decode<Bits>});
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(lowbit_conv2d_reference) {
  apprentice::kernels::add<2>();
  apprentice::kernels::add<4>();
}
