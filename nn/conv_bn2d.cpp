#include <apprentice/nn/conv_bn2d.h>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/fold_batch_norm.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice::nn {
namespace {

constexpr int64_t kMostByte = 255;
/// Integers up to this are exact in bf16.
constexpr int64_t kMostInBf16 = 256;

/// What the sums of x.data and weight.data have to be multiplied by; undefined for 1.
Tensor step_of_sums(const Scaled& x, const Tensor& weight_step) {
  if (!x.coded()) return weight_step;
  if (!weight_step.defined()) return x.step;
  NoGrad no_grad;
  return x.step * weight_step;
}

/// Weight and bias of a convolution by step * w and the batch norm behind it, with its running
/// statistics.
struct Folded {
  Tensor weight, bias;
};
Folded fold(const Tensor& w, const Tensor& step, const BatchNorm2d& bn) {
  Folded folded{w.new_empty(w.shape()), w.new_empty({w.size(0)})};
  const Tensor steps = step.defined() ? step.to(w.dtype()) : Tensor();
  const Tensor gamma = bn.parameter("weight"), beta = bn.parameter("bias");
  const Tensor mean = bn.buffer("running_mean"), var = bn.buffer("running_var");
  const std::array rows{w.size(0), w.numel() / w.size(0)};
  with_float(w.dtype(), "conv_bn2d", [&]<class T>() {
    typename kernels::FoldBatchNorm<T>::Args args;
    args.w = w.as<T>(rows);
    if (steps.defined()) args.step = steps.flat<T>();
    args.gamma = gamma.view<T, 1>(), args.beta = beta.view<T, 1>();
    args.mean = mean.view<T, 1>(), args.var = var.view<T, 1>();
    args.eps = double(bn.options().eps);
    args.folded = folded.weight.as<T>(rows);
    args.bias = folded.bias.view<T, 1>();
    kernels::launch<kernels::FoldBatchNorm<T>>(args, current_stream(w.device()));
  });
  return folded;
}

/// Of an inference: codes are convolved exactly, real values may go by a faster algorithm.
Conv2dOptions inference(const Conv2d& conv, const Scaled& x, const EffectiveWeight& weight) {
  Conv2dOptions options = conv.geometry();
  options.exact = x.coded() || weight.step.defined();
  return options;
}

}  // namespace

ConvBn2d::ConvBn2d(const Options& options, Rng& rng) : options_(options) {
  options_.conv.bias = false;
  conv_ = add_module(options_.conv_name, std::make_shared<Conv2d>(options_.conv, rng));
  bn_ =
      add_module(options_.bn_name,
                 std::make_shared<BatchNorm2d>(BatchNorm2d::Options{.channels = options.conv.out}));
}

Scaled ConvBn2d::forward(const Scaled& x, const Scaled& residual) {
  check<ConfigError>(x.zero_point == 0,
                     "{}: x has the zero point {}, expected codes of a layer with a ReLU",
                     options_.conv_name, x.zero_point);
  const EffectiveWeight weight = conv_->effective("weight");
  const bool grads = needs_grad(
      {x.data, weight.data, bn_->parameter("weight"), bn_->parameter("bias"), residual.data});
  const bool codes_in_f64 = activation_ && x.data.dtype() == Dtype::f64;
  if (training() || grads || codes_in_f64) return forward_graph(x, weight, residual);
  Observation seen;
  if (activation_)
    seen = forward_codes(widened(x), weight, widened(residual));
  else
    seen.y = forward_folded(x, weight, residual);
  if (!observer_) return seen.y;
  const Scaled y = seen.y;
  seen.y = widened(y);
  seen.x = widened(x);
  seen.residual = widened(residual);
  observer_(seen);
  return y;
}

/// Batch norm and what follows it; quantizes on the way where batch norm can.
Scaled ConvBn2d::normalized(const Tensor& sums, BatchNormOptions extra) {
  if (!activation_) return {bn_->forward(sums, extra), {}, 0};
  const bool fused = activation_->uniform() && extra.relu && sums.dtype() != Dtype::f64;
  if (!fused) {
    extra.exact = true;
    Scaled y = activation_->apply(bn_->forward(sums, extra));
    if (y.coded() && y.max_code <= kMostInBf16)
      y.data = stored_as(y.data, activation_dtype(y.data));
    return y;
  }
  Scaled y{{}, activation_->step(), activation_->max_code()};
  // For the integer kernels of the CPU, which train by them.
  const bool as_bytes = y.max_code <= kMostByte && sums.device().is_cpu();
  if (as_bytes) y.bytes = sums.new_empty(sums.shape(), Dtype::u8);
  extra.codes = {y.step, y.max_code, y.bytes};
  y.data = bn_->forward(sums, extra);
  activation_->applied(y.data);
  return y;
}

Scaled ConvBn2d::forward_graph(const Scaled& x, const EffectiveWeight& weight,
                               const Scaled& residual) {
  const bool two_steps = weight.step_negative.defined();
  const Tensor data = two_steps ? real(weight) : weight.data;
  Conv2dOptions walk = conv_->geometry();
  walk.exact = x.coded() || conv_->parametrization("weight") != nullptr;
  walk.codes = {x.max_code, two_steps ? 0 : weight.max_code, x.bytes};
  BatchNormOptions extra;
  extra.x_scale = step_of_sums(x, two_steps ? Tensor() : weight.step);
  extra.residual = centred(residual).data;
  extra.residual_scale = residual.step;
  extra.relu = options_.relu;
  return normalized(conv2d(x.data, data, {}, walk), extra);
}

Scaled ConvBn2d::forward_folded(const Scaled& x, const EffectiveWeight& weight,
                                const Scaled& residual) {
  const bool two_steps = weight.step_negative.defined();
  const Tensor data = two_steps ? real(weight) : weight.data;
  const Folded folded = nn::fold(data, step_of_sums(x, two_steps ? Tensor() : weight.step), *bn_);
  const Tensor added = residual.data.defined() ? real(residual) : Tensor();
  return {conv2d_fused(x.data, folded.weight, folded.bias, inference(*conv_, x, weight), added,
                       options_.relu),
          {},
          0};
}

}  // namespace apprentice::nn
