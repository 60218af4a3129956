#pragma once

#include <apprentice/kernels/lowbit_conv2d.h>
#include <apprentice/kernels/cuda/lowbit_gemm.cuh>

namespace apprentice::kernels::SIMT_NS {

template <int Bits>
std::string refuse_lowbit_conv2d(const typename LowbitConv2d<Bits>::Args& args) {
  if (args.geometry.groups != 1) {
    return fmt::format("{} groups of channels, tensor cores take one", args.geometry.groups);
  }
  if (args.two_step && Bits != 2) return "two steps of 4-bit weights";
  return beyond_lowbit_sums<uint8_t, Bits>(args.weight.cols);
}

/// Where the shortcut lies, read through option A (kernels/lowbit_conv2d.h).
inline void place_residual(const View4<const uint8_t>& residual, LowbitMma& p) {
  if (!residual) return;
  const int64_t step = residual.size(1) == p.out_h ? 1 : 2, channels = residual.size(3);
  p.residual_image = residual.size(1) * residual.size(2) * channels;
  p.residual_row = step * residual.size(2) * channels;
  p.residual_col = step * channels;
  p.residual_channels = int(channels);
  p.residual_first = int(p.out - channels) / 2;
}

/// LowbitConv2d as an implicit GEMM: output pixels by (kh, kw, in). `args.prepacked` holds
/// LowbitFragments.
template <int Bits>
LowbitMma lowbit_conv2d_problem(const typename LowbitConv2d<Bits>::Args& args) {
  LowbitMma p = lowbit_problem(args);
  const auto& sizes = args.y ? args.y.sizes : args.acc ? args.acc.sizes : args.acc_f32.sizes;
  p.x = args.x.data;
  p.h = int(args.x.size(1));
  p.w = int(args.x.size(2));
  p.c = int(args.x.size(3));
  p.copy_bytes = lowbit_copy_bytes(p.x, p.c);
  p.kw = int(args.kernel_size[1]);
  for (int axis : {0, 1}) {
    p.stride[axis] = int(args.geometry.stride[size_t(axis)]);
    p.padding[axis] = int(args.geometry.padding[size_t(axis)]);
    p.dilation[axis] = int(args.geometry.dilation[size_t(axis)]);
  }
  p.out_h = int(sizes[1]);
  p.out_w = int(sizes[2]);
  p.pixels = sizes[0] * sizes[1] * sizes[2];
  p.acc_f32 = args.acc_f32.data;
  place_residual(args.residual, p);
  p.vectors = lowbit_vectors(p);
  return p;
}

template <int Bits>
void lowbit_conv2d(const typename LowbitConv2d<Bits>::Args& args, simt::Stream stream) {
  const LowbitMma p = lowbit_conv2d_problem<Bits>(args);
  launch_lowbit_mma<uint8_t, Bits>(p, args.two_step, lowbit_block_strips(p), stream);
}

}  // namespace apprentice::kernels::SIMT_NS
