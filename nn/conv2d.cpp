#include <apprentice/nn/conv2d.h>

#include <apprentice/base/error.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/nn/init.h>

namespace apprentice::nn {
namespace {

void check_options(const Conv2d::Options& o) {
  check<ConfigError>(o.in > 0 && o.out > 0,
                     "convolution: in = {} and out = {} channels must be positive", o.in, o.out);
  check<ConfigError>(o.groups > 0 && o.in % o.groups == 0 && o.out % o.groups == 0,
                     "convolution: {} groups do not divide {} and {} channels", o.groups, o.in,
                     o.out);
  for (size_t axis = 0; axis < 2; ++axis) {
    check<ConfigError>(o.kernel_size[axis] > 0 && o.stride[axis] > 0 && o.dilation[axis] > 0,
                       "convolution: kernel size {}, stride {} and dilation {} must be positive",
                       o.kernel_size[axis], o.stride[axis], o.dilation[axis]);
    check<ConfigError>(o.padding[axis] >= 0, "convolution: padding is {}, expected 0 or more",
                       o.padding[axis]);
  }
}

}  // namespace

Conv2d::Conv2d(const Options& o, Rng& rng) : options_(o) {
  check_options(o);
  const Shape shape{o.out, o.kernel_size[0], o.kernel_size[1], o.in / o.groups};
  add_parameter("weight", kaiming_normal(shape, rng));
  if (o.bias) add_parameter("bias", Tensor::zeros({o.out}));
}

Conv2dOptions Conv2d::geometry() const {
  return {options_.stride, options_.padding, options_.dilation, options_.groups};
}

Tensor Conv2d::forward(const Tensor& x) {
  const EffectiveWeight weight = effective("weight");
  const Tensor bias = options_.bias ? parameter("bias") : Tensor();
  if (!weight.step.defined()) return conv2d(x, weight.data, bias, geometry());
  if (weight.step_negative.defined()) return conv2d(x, real(weight), bias, geometry());
  const Tensor y = conv2d(x, weight.data, {}, geometry()) * weight.step;
  return bias.defined() ? y + bias : y;
}

}  // namespace apprentice::nn
