#include <apprentice/nn/linear.h>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/linear.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_linear.h>
#include <apprentice/nn/init.h>

namespace apprentice::nn {
namespace {

Tensor ordered_linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  Shape shape = x.shape();
  shape[shape.rank() - 1] = weight.size(0);
  Tensor y = x.new_empty(shape);
  const int64_t rows = y.numel() / weight.size(0);
  kernels::OrderedLinear::Args args{.x = x.as<float>(std::array{rows, x.size(-1)}),
                                    .w = weight.view<float, 2>(),
                                    .bias = {},
                                    .y = y.as<float>(std::array{rows, weight.size(0)})};
  if (bias.defined()) args.bias = bias.view<float, 1>();
  kernels::launch<kernels::OrderedLinear>(args, current_stream(x.device()));
  return y;
}

}  // namespace

Linear::Linear(const Options& o, Rng& rng) : options_(o) {
  check<ConfigError>(o.in > 0 && o.out > 0, "linear: in = {} and out = {} must be positive", o.in,
                     o.out);
  const float bound = 1 / std::sqrt(float(o.in));
  add_parameter("weight", kaiming_normal({o.out, o.in}, rng));
  if (o.bias) add_parameter("bias", Tensor::uniform({o.out}, -bound, bound, rng));
}

Tensor Linear::forward(const Tensor& given) {
  const Tensor x = widened(given);
  check<ShapeError>(x.rank() > 0 && x.size(-1) == options_.in,
                    "linear: x is {}, expected a last axis of {}", x.shape().str(), options_.in);
  const EffectiveWeight weight = effective("weight");
  const Tensor bias = options_.bias ? parameter("bias") : Tensor();
  if (weight.step_negative.defined()) return linear(x, real(weight), bias);
  if (weight.step.defined()) {
    const Tensor y = linear(x, weight.data) * weight.step;
    return bias.defined() ? y + bias : y;
  }
  const bool ordered = x.dtype() == Dtype::f32 && !needs_grad({x, weight.data, bias});
  return ordered ? ordered_linear(x, weight.data, bias) : linear(x, weight.data, bias);
}

}  // namespace apprentice::nn
