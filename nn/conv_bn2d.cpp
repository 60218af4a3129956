#include <apprentice/nn/conv_bn2d.h>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/integer_conv2d.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/fold_batch_norm.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_conv2d.h>

namespace apprentice::nn {
namespace {

/// Integers below this are exact in f32.
constexpr int64_t kExactLimit = int64_t(1) << 24;
/// What integer_conv2d takes: weight codes up to this, and sums below s32.
constexpr int64_t kMostInteger = 7, kIntegerLimit = int64_t(1) << 31;

constexpr int64_t kMostByte = 255;

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

/// One fmaf a tap, in order (kernels/ordered_conv2d.h).
Tensor ordered_sums(const Tensor& x, const Tensor& w, const Conv2dOptions& options) {
  const kernels::Conv2dGeometry geometry{options.stride, options.padding, options.dilation,
                                         options.groups};
  const int64_t height = geometry.out_size(0, x.size(1), w.size(1));
  const int64_t width = geometry.out_size(1, x.size(2), w.size(2));
  check<ShapeError>(x.size(3) == w.size(3) && height > 0 && width > 0,
                    "conv2d: x {} does not fit weight {}", x.shape().str(), w.shape().str());
  Tensor sums = x.new_empty({x.size(0), height, width, w.size(0)});
  kernels::OrderedConv2d::Args args{.x = x.view<float, 4>(),
                                    .w = w.view<float, 4>(),
                                    .geometry = geometry,
                                    .sums = sums.view<float, 4>(),
                                    .epilogue = {},
                                    .y = {}};
  kernels::launch<kernels::OrderedConv2d>(args, current_stream(x.device()));
  return sums;
}

View2<const float> as_rows(const Tensor& map) {
  if (!map.defined()) return {};
  return map.as<float>(std::array{map.numel() / map.size(-1), map.size(-1)});
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
  const bool codes_in_f64 = activation_ && x.data.dtype() != Dtype::f32;
  if (training() || grads || codes_in_f64) return forward_graph(x, weight, residual);
  Observation seen;
  if (activation_)
    seen = forward_codes(x, weight, residual);
  else
    seen.y = forward_folded(x, weight, residual);
  seen.x = x;
  seen.residual = residual;
  if (observer_) observer_(seen);
  return seen.y;
}

/// Batch norm and what follows it; quantizes on the way where batch norm can.
Scaled ConvBn2d::normalized(const Tensor& sums, BatchNormOptions extra) {
  if (!activation_) return {bn_->forward(sums, extra), {}, 0};
  const bool fused = activation_->uniform() && extra.relu && sums.dtype() == Dtype::f32;
  if (!fused) return activation_->apply(bn_->forward(sums, extra));
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
  if (!two_steps) walk.codes = {x.max_code, weight.max_code, x.bytes};
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

Tensor ConvBn2d::sums(const Scaled& x, const Tensor& data, int64_t max_code) const {
  const Conv2d::Options& o = options_.conv;
  if (x.coded() && max_code > 0) {
    const int64_t terms = o.kernel_size[0] * o.kernel_size[1] * o.in / o.groups;
    const int64_t largest = terms * x.max_code * max_code;
    const bool integers = max_code <= kMostInteger && largest < kIntegerLimit;
    // Another device takes its integer kernels wherever they go: they are the faster ones there.
    const bool rather_integers =
        !x.data.device().is_cpu() && integers && x.max_code <= kMostByte && o.groups == 1;
    if (largest < kExactLimit && !rather_integers)
      return conv2d(x.data, data, {}, conv_->geometry());
    check<ConfigError>(integers,
                       "{}: sums of {} products of codes up to {} and {} are exact neither in f32 "
                       "nor by the integer kernels",
                       options_.conv_name, terms, x.max_code, max_code);
    return integer_conv2d(x.data, x.max_code, data, max_code, conv_->geometry());
  }
  if (o.groups != 1) return conv2d(x.data, data, {}, conv_->geometry());
  return ordered_sums(x.data, data, conv_->geometry());
}

ConvBn2d::Constants ConvBn2d::fold(const Scaled& x, const EffectiveWeight& weight,
                                   const Scaled& residual, float r) const {
  // Worked out on the host, on every device from the same numbers by the same function.
  const auto on_host = [](const Tensor& t) { return t.defined() ? t.to(Device{}) : t; };
  const Device device = x.data.device();
  const Shape channels{options_.conv.out};
  const auto make = [&] { return Tensor::empty(channels, Dtype::f32, Device{}); };
  const float one = 1;
  Constants result{make(), {}, make()};
  kernels::FoldArgs args;
  args.weight_step = {&one, {1}};
  const Tensor step = on_host(weight.step), step_negative = on_host(weight.step_negative);
  if (step.defined()) args.weight_step = step.view<float, 1>();
  if (x.coded()) args.x_step = float(x.step.item());
  args.y_step = float(activation_->step().item());
  args.y_zero = float(activation_->zero_point());
  args.r = r;
  args.residual_zero = float(residual.zero_point);
  const Tensor gamma = on_host(bn_->parameter("weight")), beta = on_host(bn_->parameter("bias"));
  const Tensor mean = on_host(bn_->buffer("running_mean"));
  const Tensor var = on_host(bn_->buffer("running_var"));
  args.gamma = gamma.view<float, 1>();
  args.beta = beta.view<float, 1>();
  args.mean = mean.view<float, 1>();
  args.var = var.view<float, 1>();
  args.eps = bn_->options().eps;
  kernels::fold_epilogue(args, result.a.view<float, 1>(), result.b.view<float, 1>());
  if (step_negative.defined()) {
    result.a_negative = make();
    args.weight_step = step_negative.view<float, 1>();
    kernels::fold_epilogue(args, result.a_negative.view<float, 1>(), result.b.view<float, 1>());
    result.a_negative = result.a_negative.to(device);
  }
  return {result.a.to(device), result.a_negative, result.b.to(device)};
}

Observation ConvBn2d::forward_codes(const Scaled& x, const EffectiveWeight& weight,
                                    const Scaled& residual) {
  NoGrad no_grad;
  Observation seen;
  const bool two_steps = weight.step_negative.defined();
  seen.sums = sums(x, two_steps ? maximum(weight.data, 0) : weight.data, weight.max_code);
  if (two_steps) seen.sums_negative = sums(x, maximum(-weight.data, 0), weight.max_code);
  if (residual.data.defined() && residual.data.shape() != seen.sums.shape())
    throw ShapeError(fmt::format("{}: the shortcut is {}, the sums are {}", options_.conv_name,
                                 residual.data.shape().str(), seen.sums.shape().str()));
  const Tensor step = activation_->step();
  if (residual.data.defined())
    seen.r = (residual.coded() ? float(residual.step.item()) : 1.0f) / float(step.item());
  const Constants constants = fold(x, weight, residual, seen.r);
  seen.a = constants.a;
  seen.a_negative = constants.a_negative;
  seen.b = constants.b;

  kernels::Requantize<float>::Args args{.acc = as_rows(seen.sums),
                                        .acc_negative = as_rows(seen.sums_negative),
                                        .epilogue = {},
                                        .residual = as_rows(residual.data),
                                        .y = {}};
  args.epilogue.a = constants.a.view<float, 1>();
  args.epilogue.b = constants.b.view<float, 1>();
  if (two_steps) args.epilogue.a_negative = constants.a_negative.view<float, 1>();
  args.epilogue.r = seen.r;
  args.epilogue.max_code = int32_t(activation_->max_code());
  Tensor codes = seen.sums.new_empty(seen.sums.shape());
  args.y = codes.as<float>(args.acc.sizes);
  kernels::launch<kernels::Requantize<float>>(args, current_stream(codes.device()));
  seen.y = {codes, step, activation_->max_code(), activation_->zero_point()};
  return seen;
}

}  // namespace apprentice::nn
