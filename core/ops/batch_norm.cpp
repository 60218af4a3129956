#include <apprentice/core/ops/batch_norm.h>

#include <utility>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/precision.h>
#include <apprentice/core/tensor_internal.h>
#include <apprentice/kernels/batch_norm.h>

namespace apprentice {
namespace {

/// Integers up to this are exact in bf16.
constexpr int64_t kMostInBf16 = 256;

/// x as rows of channels.
struct Rows {
  Shape shape;
  int64_t m, c;

  template <class T>
  View2<const T> of(const Tensor& t) const {
    return t ? t.as<T>(std::array{m, c}) : View2<const T>{};
  }
  template <class T>
  View2<T> into(Tensor& t) const {
    return t ? t.as<T>(std::array{m, c}) : View2<T>{};
  }
};

void check_device(const Tensor& t, const char* name, const Tensor& x) {
  check<DeviceError>(t.device() == x.device(), "batch_norm: {} on {}, x on {}", name,
                     t.device().str(), x.device().str());
}

void check_channels(const Tensor& t, const char* name, const Tensor& x) {
  const int64_t c = x.size(-1);
  check<ShapeError>(t.shape() == Shape{c}, "batch_norm: {} is {}, expected [{}]", name,
                    t.shape().str(), c);
  check<DtypeError>(t.dtype() == parameter_dtype(x),
                    "batch_norm: {} is {}, expected {} beside x of {}", name, name_of(t.dtype()),
                    name_of(parameter_dtype(x)), name_of(x.dtype()));
  check_device(t, name, x);
}

void check_codes(const BatchNormOptions& o, const Tensor& x) {
  const UniformCodes& codes = o.codes;
  if (!codes.step) return;
  check<ShapeError>(codes.step.shape() == Shape{1}, "batch_norm: step of codes is {}, expected [1]",
                    codes.step.shape().str());
  check_device(codes.step, "step of codes", x);
  check(codes.max_code > 0, "batch_norm: codes up to {}", codes.max_code);
  if (codes.step.device().is_cpu())
    check(codes.step.item() > 0, "batch_norm: codes of step {}", codes.step.item());
  check(o.relu, "batch_norm: codes without a ReLU");
  check<DtypeError>(parameter_dtype(x) == Dtype::f32, "batch_norm: codes of {}, expected f32",
                    name_of(x.dtype()));
  if (!codes.bytes) return;
  check<ShapeError>(codes.bytes.shape() == x.shape(), "batch_norm: bytes are {}, expected {}",
                    codes.bytes.shape().str(), x.shape().str());
  check_device(codes.bytes, "bytes", x);
  check(codes.max_code <= 255, "batch_norm: codes up to {} do not fit bytes", codes.max_code);
}

Rows check_inputs(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                  const Tensor& var, const BatchNormOptions& o) {
  check<ShapeError>(x.rank() > 0, "batch_norm: x has no axes, expected [..., c]");
  check_channels(weight, "weight", x);
  check_channels(bias, "bias", x);
  check_channels(mean, "running_mean", x);
  check_channels(var, "running_var", x);
  check<ShapeError>(!o.x_scale || o.x_scale.numel() == 1 || o.x_scale.shape() == Shape{x.size(-1)},
                    "batch_norm: x_scale is {}, expected [1] or [{}]",
                    o.x_scale ? o.x_scale.shape().str() : "", x.size(-1));
  check<ShapeError>(!o.residual || o.residual.shape() == x.shape(),
                    "batch_norm: residual is {}, expected {}",
                    o.residual ? o.residual.shape().str() : "", x.shape().str());
  if (o.residual) check_device(o.residual, "residual", x);
  check(o.residual || !o.residual_scale, "batch_norm: residual_scale without a residual");
  check<ShapeError>(!o.residual_scale || o.residual_scale.numel() == 1,
                    "batch_norm: residual_scale is {}, expected [1]",
                    o.residual_scale ? o.residual_scale.shape().str() : "");
  check_codes(o, x);
  const int64_t c = x.size(-1);
  return {x.shape(), c > 0 ? x.numel() / c : 0, c};
}

/// As what y is stored: as activations are, where these hold it and the residual, which lies as y.
Dtype y_dtype(const Tensor& x, const BatchNormOptions& o) {
  const bool wide_residual = o.residual && o.residual.dtype() != Dtype::bf16;
  const bool wide_codes = o.codes.step && o.codes.max_code > kMostInBf16;
  return o.exact || wide_residual || wide_codes ? parameter_dtype(x) : activation_dtype(x);
}

/// The step of x, one a channel or one for all, in the dtype of weight; undefined if it has none.
/// On another device than the CPU the steps are not read, as that would wait for it.
Tensor steps_of(const BatchNormOptions& o, const Tensor& x) {
  if (!o.x_scale) return {};
  if (o.x_scale.device().is_cpu()) {
    for (double step : o.x_scale.to_vector<double>())
      check(step > 0, "batch_norm: x_scale holds {}, expected a positive step", step);
  }
  return o.x_scale.to(parameter_dtype(x)).to(x.device());
}

template <class T>
View1<const T> view_of(const Tensor& steps) {
  return steps ? steps.flat<T>() : View1<const T>{};
}

/// One number a channel of x, not initialised.
Tensor new_channels(const Tensor& x) { return x.new_empty({x.size(-1)}, parameter_dtype(x)); }

/// Statistics of x instead of step * x (kernels::BatchNormInSteps); mean and var may be undefined.
struct InSteps {
  Tensor mean, var, eps;
};
InSteps in_steps(const Tensor& x, const Tensor& steps, const Tensor& mean, const Tensor& var,
                 float eps) {
  InSteps in{mean ? new_channels(x) : Tensor(), var ? new_channels(x) : Tensor(),
             x.new_empty({steps ? steps.numel() : 1}, parameter_dtype(x))};
  with_float(in.eps.dtype(), "batch_norm", [&]<class T>() {
    typename kernels::BatchNormInSteps<T>::Args args;
    args.step = view_of<T>(steps);
    if (mean) {
      args.mean = mean.flat<T>(), args.var = var.flat<T>();
      args.in_mean = in.mean.flat<T>(), args.in_var = in.var.flat<T>();
    }
    args.eps = double(eps);
    args.in_eps = in.eps.flat<T>();
    launch_beside<kernels::BatchNormInSteps<T>>(x, args);
  });
  return in;
}

/// A number that lies beside x; `number` if there is none.
template <class T>
kernels::Number<T> number_of(const Tensor& beside, T number) {
  return beside ? kernels::Number<T>::in(beside.flat<T>().data) : kernels::Number<T>(number);
}

/// The step of the residual in the dtype of weight, beside x.
Tensor residual_step_of(const BatchNormOptions& o, const Tensor& x) {
  return o.residual_scale ? o.residual_scale.to(parameter_dtype(x)).to(x.device()) : Tensor();
}

BatchNormOptions with_residual_as(BatchNormOptions o, Dtype dtype) {
  o.residual = stored_as(o.residual, dtype);
  return o;
}

struct Forward {
  Rows rows;
  Tensor y, mean, inv_std;
  bool fixed_statistics;
};

/// Everything that backward needs of a forward.
struct Backward {
  Rows rows;
  Saved x, weight, mean, inv_std;
  Saved y, bias, residual;    ///< what tells where the ReLU and the quantizer let pass
  Saved residual_step, step;  ///< as the forward's options
  int64_t max_code;
  bool fixed_statistics, wants_x, wants_residual;

  template <class T, class X, class Y>
  std::vector<Tensor> grads(const Tensor& grad_y) const {
    using Op = kernels::BatchNormBackward<T, X, Y>;
    typename Op::Args args;
    // grad_y that nobody else sees gives its memory to a gradient: one array less to fetch.
    Tensor spare = sole_owner(grad_y) ? grad_y : Tensor();
    const auto take = [&](Dtype dtype) {
      const bool fits = spare && spare.dtype() == dtype;
      return fits ? std::exchange(spare, {}) : grad_y.new_empty(rows.shape, dtype);
    };
    Tensor grad_weight = new_channels(x.get()), grad_bias = new_channels(x.get());
    Tensor grad_x, grad_residual;
    if (wants_residual) grad_residual = take(dtype_of<Y>);
    if (wants_x) grad_x = take(dtype_of<X>);
    args.x = rows.of<X>(x.get());
    args.y = rows.of<Y>(y.get());
    args.residual = rows.of<Y>(residual.get());
    args.grad_y = rows.of<Y>(grad_y);
    args.gamma = weight.get().view<T, 1>();
    if (bias.get()) args.beta = bias.get().view<T, 1>();
    args.mean = mean.get().view<T, 1>();
    args.inv_std = inv_std.get().view<T, 1>();
    args.residual_scale = number_of<T>(residual_step.get(), 1);
    if (step.get()) args.step = number_of<T>(step.get(), 0), args.max_code = T(max_code);
    args.fixed_statistics = fixed_statistics;
    args.grad_x = rows.into<X>(grad_x);
    args.grad_residual = rows.into<Y>(grad_residual);
    args.grad_gamma = grad_weight.view<T, 1>();
    args.grad_beta = grad_bias.view<T, 1>();
    launch_beside<Op>(grad_y, args);
    return {grad_x, grad_weight, grad_bias, grad_residual};
  }
};

Tensor record_norm(const char* op, const Forward& f, const Tensor& x, const Tensor& weight,
                   const Tensor& bias, const BatchNormOptions& o) {
  const std::vector<Tensor> inputs{x, weight, bias, o.residual};
  if (!needs_grad(inputs)) return f.y;
  // The mask comes from y, or, where that holds codes or nothing was added, from x and the bias.
  const bool codes = o.codes.step.defined(), from_y = o.relu && o.residual && !codes;
  const Backward b{.rows = f.rows,
                   .x = Saved(x),
                   .weight = Saved(weight),
                   .mean = Saved(f.mean),
                   .inv_std = Saved(f.inv_std),
                   .y = Saved(from_y ? f.y : Tensor()),
                   .bias = Saved(o.relu && !from_y ? bias : Tensor()),
                   .residual = Saved(codes ? o.residual : Tensor()),
                   .residual_step = Saved(residual_step_of(o, x)),
                   .step = Saved(o.codes.step),
                   .max_code = o.codes.max_code,
                   .fixed_statistics = f.fixed_statistics,
                   .wants_x = needs_grad(x),
                   .wants_residual = needs_grad(o.residual)};
  return record(op, f.y, inputs, [op, b](const Tensor& g) {
    return with_layer(b.x.get().dtype(), g.dtype(), op,
                      [&]<class T, class X, class Y>() { return b.grads<T, X, Y>(g); });
  });
}

/// What train and eval do with a value once it is normalised.
template <class T, class Y, class Args>
void set_output(Args& args, const Rows& rows, const BatchNormOptions& o,
                const Tensor& residual_step, Tensor& y) {
  args.residual = rows.of<Y>(o.residual);
  args.residual_scale = number_of<T>(residual_step, 1);
  args.relu = o.relu;
  if (o.codes.step) args.step = number_of<T>(o.codes.step, 0), args.max_code = T(o.codes.max_code);
  args.y = rows.into<Y>(y);
  Tensor bytes = o.codes.bytes;
  args.bytes = rows.into<uint8_t>(bytes);
}

}  // namespace

Tensor batch_norm_train(const Tensor& x, const Tensor& given_weight, const Tensor& given_bias,
                        Tensor running_mean, Tensor running_var, const BatchNormOptions& given) {
  const Tensor weight = widened(given_weight), bias = widened(given_bias);
  const Rows rows = check_inputs(x, weight, bias, running_mean, running_var, given);
  const Dtype dtype = y_dtype(x, given);
  const BatchNormOptions options = with_residual_as(given, dtype);
  check<ShapeError>(rows.m >= 2, "batch_norm: x {} has {} values a channel, expected at least 2",
                    x.shape().str(), rows.m);
  const Tensor steps = steps_of(options, x);
  const Tensor eps = in_steps(x, steps, {}, {}, options.eps).eps;
  Forward f{rows, x.new_empty(x.shape(), dtype), new_channels(x), new_channels(x), false};
  Tensor var = new_channels(x);
  const Tensor residual_step = residual_step_of(options, x);
  with_layer(x.dtype(), dtype, "batch_norm", [&]<class T, class X, class Y>() {
    using Op = kernels::BatchNormTrain<T, X, Y>;
    typename Op::Args args;
    args.x = rows.of<X>(x);
    args.gamma = weight.view<T, 1>();
    args.beta = bias.view<T, 1>();
    args.eps = eps.view<T, 1>();
    set_output<T, Y>(args, rows, options, residual_step, f.y);
    args.mean = f.mean.view<T, 1>();
    args.var = var.view<T, 1>();
    args.inv_std = f.inv_std.view<T, 1>();
    launch_beside<Op>(x, args);
    launch_beside<kernels::BatchNormRunning<T>>(x, {.step = view_of<T>(steps),
                                                    .mean = f.mean.view<T, 1>(),
                                                    .var = var.view<T, 1>(),
                                                    .momentum = options.momentum,
                                                    .unbiased = double(rows.m) / double(rows.m - 1),
                                                    .running_mean = running_mean.view<T, 1>(),
                                                    .running_var = running_var.view<T, 1>()});
  });
  return record_norm("batch_norm_train", f, x, weight, bias, options);
}

Tensor batch_norm_eval(const Tensor& x, const Tensor& given_weight, const Tensor& given_bias,
                       const Tensor& running_mean, const Tensor& running_var,
                       const BatchNormOptions& given) {
  const Tensor weight = widened(given_weight), bias = widened(given_bias);
  const Rows rows = check_inputs(x, weight, bias, running_mean, running_var, given);
  const Dtype dtype = y_dtype(x, given);
  const BatchNormOptions options = with_residual_as(given, dtype);
  const InSteps in = in_steps(x, steps_of(options, x), running_mean, running_var, options.eps);
  Forward f{rows, x.new_empty(x.shape(), dtype), in.mean, new_channels(x), true};
  const Tensor residual_step = residual_step_of(options, x);
  with_layer(x.dtype(), dtype, "batch_norm", [&]<class T, class X, class Y>() {
    using Op = kernels::BatchNormEval<T, X, Y>;
    typename Op::Args args;
    args.x = rows.of<X>(x);
    args.gamma = weight.view<T, 1>();
    args.beta = bias.view<T, 1>();
    args.mean = in.mean.view<T, 1>();
    args.var = in.var.view<T, 1>();
    args.eps = in.eps.view<T, 1>();
    set_output<T, Y>(args, rows, options, residual_step, f.y);
    args.inv_std = f.inv_std.view<T, 1>();
    launch_beside<Op>(x, args);
  });
  return record_norm("batch_norm_eval", f, x, weight, bias, options);
}

}  // namespace apprentice

namespace {

using namespace apprentice;

/// Inputs x, weight, bias and, if asked for, residual.
OpSample norm_sample(const std::string& name, const Shape& x, bool train, bool residual,
                     BatchNormOptions options, Rng& rng) {
  const int64_t c = x.size(-1);
  std::vector<Tensor> inputs{Tensor::normal(x, 1, 2, rng), Tensor::uniform({c}, 0.5, 2, rng),
                             Tensor::normal({c}, 0, 1, rng)};
  if (residual) inputs.push_back(Tensor::normal(x, 0, 1, rng));
  const Tensor mean = Tensor::normal({c}, 0, 1, rng), var = Tensor::uniform({c}, 0.5, 2, rng);
  const auto run = [=](const std::vector<Tensor>& in) {
    BatchNormOptions o = options;
    if (residual) o.residual = in[3];
    const auto beside_x = [&](const Tensor& t) {
      return t.to(parameter_dtype(in[0])).to(in[0].device()).clone();
    };
    const Tensor own_mean = beside_x(mean), own_var = beside_x(var);
    return train ? batch_norm_train(in[0], in[1], in[2], own_mean, own_var, o)
                 : batch_norm_eval(in[0], in[1], in[2], own_mean, own_var, o);
  };
  return {name, inputs, run, x};
}

std::vector<OpSample> norm_samples(bool train, Rng& rng) {
  const Tensor step = Tensor::full({1}, 0.25), steps = Tensor::uniform({3}, 0.1f, 2, rng);
  return {norm_sample("plain", {2, 3, 3, 3}, train, false, {}, rng),
          norm_sample("relu, residual", {2, 3, 3, 3}, train, true, {.relu = true}, rng),
          norm_sample("x_scale", {5, 3}, train, false, {.x_scale = steps}, rng),
          norm_sample("all steps", {7, 3}, train, true,
                      {.x_scale = step, .residual_scale = step, .relu = true}, rng),
          norm_sample("two rows", {2, 1}, train, false, {}, rng)};
}

}  // namespace

APPRENTICE_UNIT(batch_norm) {
  op_samples().add("batch_norm_train", [](Rng& rng) { return norm_samples(true, rng); });
  op_samples().add("batch_norm_eval", [](Rng& rng) {
    std::vector<OpSample> samples = norm_samples(false, rng);
    samples.push_back(norm_sample("no rows", {0, 2, 2, 3}, false, true, {.relu = true}, rng));
    samples.push_back(norm_sample("one row", {1, 3}, false, false, {}, rng));
    return samples;
  });
}
