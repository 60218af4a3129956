#include <apprentice/core/integer_conv2d.h>

#include <algorithm>
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/codes_to_bytes.h>
#include <apprentice/kernels/lowbit_conv2d.h>

namespace apprentice {
namespace {

constexpr int64_t kIntegers = int64_t(1) << 31;
/// Integers below this are exact in f32.
constexpr int64_t kExactInF32 = int64_t(1) << 24;

Tensor bytes_of(const Tensor& codes) {
  Tensor bytes = codes.new_empty(codes.shape(), Dtype::u8);
  kernels::launch<kernels::CodesToBytes>({codes.flat<float>(), bytes.flat<uint8_t>()},
                                         current_stream(codes.device()));
  return bytes;
}

/// Weights i8 of so many groups as those of one, which give the same sums: the channels of other
/// groups have the code 0.
Tensor in_one_group(const Tensor& codes, int64_t groups) {
  const int64_t out = codes.size(0), windows = codes.size(1) * codes.size(2), in = codes.size(3);
  Tensor all = codes.new_zeros({out, codes.size(1), codes.size(2), in * groups});
  const int8_t* from = codes.data<int8_t>();
  for (int64_t o = 0; o < out; ++o) {
    const int64_t group = o / (out / groups);
    int8_t* to = all.data<int8_t>() + o * windows * in * groups + group * in;
    for (int64_t i = 0; i < windows; ++i, from += in) std::copy_n(from, in, to + i * in * groups);
  }
  return all;
}

/// Canonical codes, on the host, where kernels of every device take them.
template <int Bits>
Tensor packed(const Tensor& weight, int64_t groups) {
  Tensor codes = weight.to(Device{}).to(Dtype::i8);
  if (groups > 1) codes = in_one_group(codes, groups);
  const int64_t out = codes.size(0), taps = codes.numel() / out;
  Tensor bytes = Tensor::empty({out, kernels::packed_row_bytes(Bits, taps)}, Dtype::u8, Device{});
  kernels::pack_codes<Bits>({codes.data<int8_t>(), {out, taps}}, bytes.data<uint8_t>());
  return bytes;
}

template <class Op>
bool some_kernel_takes(const typename Op::Args& args, Device::Kind where) {
  const auto& those = kernels::kernel_table<Op>().kernels(where);
  return std::any_of(those.begin(), those.end(), [&](const kernels::Kernel<Op>& kernel) {
    return !kernel.refuse || kernel.refuse(args).empty();
  });
}

/// By the convolution of real numbers, which takes groups as they are.
Tensor by_conv2d(const Tensor& x, const Tensor& weight, Conv2dOptions o) {
  const PrecisionGuard all_bits(Precision::f32);
  o.exact = true;
  return conv2d(x, weight, {}, o);
}

/// Undefined if only the reference takes the problem and that does not do.
template <int Bits>
Tensor run(const Tensor& x, const Tensor& weight, const Conv2dOptions& o, bool reference_does,
           IntegerWeights* kept) {
  using Op = kernels::LowbitConv2d<Bits>;
  // The kernels of another device than the CPU take one group.
  const int64_t joined = x.device().is_cpu() ? 1 : o.groups;
  const int64_t out = weight.size(0), taps = weight.numel() / out * joined;
  typename Op::Args args;
  args.geometry = {o.stride, o.padding, o.dilation, o.groups / joined};
  args.kernel_size = {weight.size(1), weight.size(2)};
  const int64_t height = args.geometry.out_size(0, x.size(1), weight.size(1));
  const int64_t width = args.geometry.out_size(1, x.size(2), weight.size(2));
  check<ShapeError>(height > 0 && width > 0, "integer_conv2d: weight {} does not fit into x {}",
                    weight.shape().str(), x.shape().str());
  args.x.sizes = {x.size(0), x.size(1), x.size(2), x.size(3)};
  args.max_x = int32_t(o.codes.max_x);
  args.weight = {nullptr, out, taps};
  const Stream stream = current_stream(x.device());
  const int64_t largest_sum = taps / joined * o.codes.max_x * o.codes.max_weight;
  if (joined > 1 && largest_sum < kExactInF32 && !some_kernel_takes<Op>(args, stream.device.kind))
    return by_conv2d(x, weight, o);
  const kernels::Kernel<Op>& kernel =
      kernels::kernel_table<Op>().select(args, kernels::default_preference(), stream.device.kind);
  if (!reference_does && kernel.family == "reference") return {};

  const bool given = o.codes.x_bytes && o.codes.x_bytes.shape() == x.shape();
  const Tensor image = given ? o.codes.x_bytes : bytes_of(x);
  Tensor sums = x.new_empty({x.size(0), height, width, out}), codes;
  args.x = image.view<uint8_t, 4>();
  args.acc_f32 = sums.view<float, 4>();
  bool made = kept && kept->prepacked && kept->kernel == kernel.name && kept->device == x.device();
  if (!made) {
    codes = packed<Bits>(weight, joined);
    args.weight.data = std::as_const(codes).data<uint8_t>();
  }
  if (kept && !made && kernel.prepack && !x.device().is_cpu()) {
    const DeviceGuard there(x.device());
    *kept = {kernel.name, x.device(), kernel.prepack(args)};
    made = true;
  }
  if (made) args.prepacked = kept->prepacked.get();
  kernel.run(args, stream);
  return sums;
}

Tensor run(const Tensor& x, const Tensor& weight, const Conv2dOptions& o, bool reference_does,
           IntegerWeights* kept = nullptr) {
  NoGrad no_grad;
  const Tensor codes = widened(x);
  if (o.codes.max_weight == 1) return run<2>(codes, weight, o, reference_does, kept);
  return run<4>(codes, weight, o, reference_does, kept);
}

bool fits(int64_t max_x, int64_t max_weight) {
  return max_x > 0 && max_x <= 255 && max_weight > 0 && max_weight <= 7;
}

}  // namespace

Tensor integer_conv2d(const Tensor& x, int64_t max_x, const Tensor& weight, int64_t max_weight,
                      const Conv2dOptions& options, IntegerWeights* kept) {
  check<ShapeError>(x.rank() == 4 && weight.rank() == 4 && options.groups > 0 &&
                        weight.size(0) % options.groups == 0 &&
                        x.size(3) == weight.size(3) * options.groups,
                    "integer_conv2d: x {} does not fit weight {} in {} groups", x.shape().str(),
                    weight.shape().str(), options.groups);
  check<ConfigError>(fits(max_x, max_weight),
                     "integer_conv2d: codes up to {} and {}, expected at most 255 and 7", max_x,
                     max_weight);
  const int64_t taps = weight.numel() / weight.size(0);
  check<ConfigError>(
      taps * max_x * max_weight < kIntegers,
      "integer_conv2d: a sum of {} products of codes up to {} and {} could leave s32", taps, max_x,
      max_weight);
  Conv2dOptions bounded = options;
  bounded.codes = {max_x, max_weight};
  return run(x, weight, bounded, true, kept);
}

Tensor fast_integer_conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options) {
  const int64_t max_x = options.codes.max_x, max_weight = options.codes.max_weight;
  const int64_t taps = weight.numel() / weight.size(0);
  if (!fits(max_x, max_weight) || taps * max_x * max_weight >= kIntegers) return {};
  if (x.dtype() != Dtype::f32) return {};
  return run(x, weight, options, false);
}

}  // namespace apprentice
