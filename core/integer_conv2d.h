#pragma once

#include <memory>
#include <string>

#include <apprentice/core/ops/conv2d.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice {

/// Weights as the kernel of another device than the CPU reads them: filled by the first call that
/// is given one, and read by the next ones of that device, whose weights must hold the same.
struct IntegerWeights {
  std::string kernel;
  Device device;
  std::shared_ptr<const kernels::Prepacked> prepacked;
};

/// Convolution of codes by the low-bit kernels, summed in s32: exact where the sums of conv2d would
/// not fit f32 any more. Outside the graph.
///   y[n,p,q,o] = f32(sum_{r,s,i} x[n, p*sh+r*dh-ph, q*sw+s*dw-pw, i] w[o,r,s,i]), rounded once
///   x       [n, h, w, c] integers 0 to max_x <= 255, held in f32 or bf16
///   weight  [out, kh, kw, c/groups] integers of size max_weight <= 7 at most, held in f32
///   y       [n, p, q, out] f32
/// On another device than the CPU groups are computed as one, whose other channels have weight 0:
/// so many times the multiply-adds and the weights. Where its kernels do not take that depth and no
/// sum can reach 2^24, conv2d gives the same integers.
/// ConfigError if the codes are larger, or if a sum could leave s32: kh kw c/groups max_x
/// max_weight must be below 2^31. ShapeError as conv2d.
Tensor integer_conv2d(const Tensor& x, int64_t max_x, const Tensor& weight, int64_t max_weight,
                      const Conv2dOptions& options = {}, IntegerWeights* kept = nullptr);

/// The same with the bounds of options.codes, or undefined where that is not allowed or not faster
/// than a convolution in f32: no bounds, larger ones, x not f32, or none but the reference kernel
/// for the problem.
Tensor fast_integer_conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options);

}  // namespace apprentice
