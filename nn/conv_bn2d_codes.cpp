// Eval forwards whose outputs are codes: sums, then the epilogue.
#include <utility>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/integer_conv2d.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/precision.h>
#include <apprentice/core/written.h>
#include <apprentice/kernels/epilogue.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/ordered_conv2d.h>
#include <apprentice/nn/conv_bn2d.h>

namespace apprentice::nn {
namespace {

/// Integers below this are exact in f32.
constexpr int64_t kExactLimit = int64_t(1) << 24;
/// What integer_conv2d takes: weight codes up to this, and sums below s32.
constexpr int64_t kMostInteger = 7, kIntegerLimit = int64_t(1) << 31;
constexpr int64_t kMostByte = 255;

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

/// What a forward works out of the layer's own tensors and the steps of its inputs alone. The host
/// has to wait for another device than the CPU to do so: there it is kept for the next forward.
struct ConvBn2d::Kept {
  /// What it was made of, and how often that had been written to.
  std::vector<std::pair<Tensor, uint64_t>> of;
  std::shared_ptr<const Parametrization> parametrization;
  std::shared_ptr<ActivationTransform> activation;
  uint64_t mode_changes = 0;
  bool has_residual = false;
  int64_t residual_zero = 0;

  Tensor codes, codes_negative;  ///< with two steps those above 0 and, negated, those below
  IntegerWeights integers, integers_negative;
  int64_t max_code = 0;
  Constants constants;
  float r = 0;

  bool is_of(const std::vector<Tensor>& tensors) const {
    if (tensors.size() != of.size()) return false;
    for (size_t i = 0; i < of.size(); ++i) {
      const Tensor &now = tensors[i], &then = of[i].first;
      if (now.defined() != then.defined()) return false;
      if (now.defined() && (now.bytes() != then.bytes() || times_written(now) != of[i].second))
        return false;
    }
    return true;
  }
};

Tensor ConvBn2d::sums(const Scaled& x, const Tensor& data, int64_t max_code,
                      IntegerWeights& integers_kept) const {
  const Conv2d::Options& o = options_.conv;
  if (x.coded() && max_code > 0) {
    const int64_t terms = o.kernel_size[0] * o.kernel_size[1] * o.in / o.groups;
    const int64_t largest = terms * x.max_code * max_code;
    const bool integers = max_code <= kMostInteger && largest < kIntegerLimit;
    // Another device takes its integer kernels wherever they go: they are the faster ones there.
    const bool rather_integers = !x.data.device().is_cpu() && integers && x.max_code <= kMostByte;
    if (largest < kExactLimit && !rather_integers)
      return conv2d(x.data, data, {}, conv_->geometry());
    check<ConfigError>(integers,
                       "{}: sums of {} products of codes up to {} and {} are exact neither in f32 "
                       "nor by the integer kernels",
                       options_.conv_name, terms, x.max_code, max_code);
    return integer_conv2d(x.data, x.max_code, data, max_code, conv_->geometry(), &integers_kept);
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

std::shared_ptr<ConvBn2d::Kept> ConvBn2d::make_kept(const Scaled& x, const EffectiveWeight& weight,
                                                    const Scaled& residual) const {
  auto kept = std::make_shared<Kept>();
  const bool two_steps = weight.step_negative.defined();
  kept->codes = two_steps ? maximum(weight.data, 0) : weight.data;
  if (two_steps) kept->codes_negative = maximum(-weight.data, 0);
  kept->max_code = weight.max_code;
  if (residual.data.defined())
    kept->r =
        (residual.coded() ? float(residual.step.item()) : 1.0f) / float(activation_->step().item());
  kept->constants = fold(x, weight, residual, kept->r);
  return kept;
}

/// What was kept, if that is of these inputs, or made anew. A graph may write to tensors unnoticed
/// (core/written.h), but not without training: so a change of mode ends what was kept, too.
std::shared_ptr<ConvBn2d::Kept> ConvBn2d::kept_for(const Scaled& x, const EffectiveWeight& weight,
                                                   const Scaled& residual) {
  if (x.data.device().is_cpu()) return make_kept(x, weight, residual);
  std::vector<Tensor> of{x.step, residual.step, activation_->step()};
  for (const Module* module :
       {static_cast<const Module*>(conv_.get()), static_cast<const Module*>(bn_.get())})
    for (const NamedTensors& tensors : {module->named_parameters(), module->named_buffers()})
      for (const auto& [name, tensor] : tensors) of.push_back(tensor);
  const auto parametrization = conv_->parametrization("weight");
  const bool same = kept_ && kept_->parametrization == parametrization &&
                    kept_->activation == activation_ && kept_->mode_changes == mode_changes() &&
                    kept_->has_residual == residual.data.defined() &&
                    kept_->residual_zero == residual.zero_point && kept_->is_of(of);
  if (same) return kept_;
  kept_ = make_kept(x, weight, residual);
  for (const Tensor& tensor : of)
    if (tensor.defined())  // a handle of its own, which does not follow the module to a device
      kept_->of.emplace_back(tensor.detach(), times_written(tensor));
    else
      kept_->of.emplace_back(tensor, 0);
  kept_->parametrization = parametrization;
  kept_->activation = activation_;
  kept_->mode_changes = mode_changes();
  kept_->has_residual = residual.data.defined();
  kept_->residual_zero = residual.zero_point;
  return kept_;
}

Observation ConvBn2d::forward_codes(const Scaled& x, const EffectiveWeight& weight,
                                    const Scaled& residual) {
  NoGrad no_grad;
  const PrecisionGuard all_bits(Precision::f32);
  Observation seen;
  const auto kept = kept_for(x, weight, residual);
  const Constants& constants = kept->constants;
  seen.sums = sums(x, kept->codes, kept->max_code, kept->integers);
  if (kept->codes_negative.defined())
    seen.sums_negative = sums(x, kept->codes_negative, kept->max_code, kept->integers_negative);
  if (residual.data.defined() && residual.data.shape() != seen.sums.shape())
    throw ShapeError(fmt::format("{}: the shortcut is {}, the sums are {}", options_.conv_name,
                                 residual.data.shape().str(), seen.sums.shape().str()));
  seen.r = kept->r;
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
  if (constants.a_negative.defined())
    args.epilogue.a_negative = constants.a_negative.view<float, 1>();
  args.epilogue.r = seen.r;
  args.epilogue.max_code = int32_t(activation_->max_code());
  Tensor codes = seen.sums.new_empty(seen.sums.shape());
  args.y = codes.as<float>(args.acc.sizes);
  kernels::launch<kernels::Requantize<float>>(args, current_stream(codes.device()));
  seen.y = {codes, activation_->step(), activation_->max_code(), activation_->zero_point()};
  return seen;
}

}  // namespace apprentice::nn
