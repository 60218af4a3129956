#include <apprentice/core/integer_conv2d.h>

#include <vector>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/kernels/lowbit_conv2d.h>

namespace apprentice {
namespace {

constexpr int64_t kIntegers = int64_t(1) << 31;

template <int Bits>
Tensor run(const Tensor& x, int64_t max_x, const Tensor& weight, const Conv2dOptions& o) {
  const Tensor codes = weight.to(Dtype::i8), image = x.to(Dtype::u8);
  const int64_t out = weight.size(0), taps = weight.numel() / out;
  std::vector<uint8_t> bytes(size_t(out * kernels::packed_row_bytes(Bits, taps)));
  kernels::pack_codes<Bits>({codes.data<int8_t>(), {out, taps}}, bytes.data());

  typename kernels::LowbitConv2d<Bits>::Args args;
  args.geometry = {o.stride, o.padding, o.dilation, o.groups};
  args.kernel_size = {weight.size(1), weight.size(2)};
  const int64_t height = args.geometry.out_size(0, x.size(1), weight.size(1));
  const int64_t width = args.geometry.out_size(1, x.size(2), weight.size(2));
  check<ShapeError>(height > 0 && width > 0, "integer_conv2d: weight {} does not fit into x {}",
                    weight.shape().str(), x.shape().str());
  Tensor sums = Tensor::empty({x.size(0), height, width, out}, Dtype::i32);
  args.x = image.view<uint8_t, 4>();
  args.max_x = int32_t(max_x);
  args.weight = {bytes.data(), out, taps};
  args.acc = sums.view<int32_t, 4>();
  kernels::launch<kernels::LowbitConv2d<Bits>>(args);
  return sums.to(Dtype::f32);
}

}  // namespace

Tensor integer_conv2d(const Tensor& x, int64_t max_x, const Tensor& weight, int64_t max_weight,
                      const Conv2dOptions& options) {
  check<ShapeError>(x.rank() == 4 && weight.rank() == 4 && options.groups > 0 &&
                        weight.size(0) % options.groups == 0 &&
                        x.size(3) == weight.size(3) * options.groups,
                    "integer_conv2d: x {} does not fit weight {} in {} groups", x.shape().str(),
                    weight.shape().str(), options.groups);
  check<ConfigError>(max_x > 0 && max_x <= 255 && max_weight > 0 && max_weight <= 7,
                     "integer_conv2d: codes up to {} and {}, expected at most 255 and 7", max_x,
                     max_weight);
  const int64_t taps = weight.numel() / weight.size(0);
  check<ConfigError>(
      taps * max_x * max_weight < kIntegers,
      "integer_conv2d: a sum of {} products of codes up to {} and {} could leave s32", taps, max_x,
      max_weight);
  NoGrad no_grad;
  if (max_weight == 1) return run<2>(x, max_x, weight, options);
  return run<4>(x, max_x, weight, options);
}

}  // namespace apprentice
