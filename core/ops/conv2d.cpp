#include <apprentice/core/ops/conv2d.h>

#include <algorithm>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/integer_conv2d.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/conv2d.h>

namespace apprentice {
namespace {

using kernels::Conv2dGeometry;

/// Integers up to these are exact as factors (kernels/precision.h).
constexpr int64_t kMostInBf16 = 1 << 8, kMostInTf32 = 1 << 11;

Conv2dGeometry geometry_of(const Conv2dOptions& o) {
  return {o.stride, o.padding, o.dilation, o.groups};
}

void check_sizes(const Tensor& x, const Tensor& weight, const Conv2dOptions& o) {
  check<ShapeError>(x.rank() == 4, "conv2d: x is {}, expected [n, h, w, c]", x.shape().str());
  check<ShapeError>(weight.rank() == 4, "conv2d: weight is {}, expected [out, kh, kw, in]",
                    weight.shape().str());
  for (size_t i = 0; i < 2; ++i)
    check<ShapeError>(o.stride[i] > 0 && o.padding[i] >= 0 && o.dilation[i] > 0,
                      "conv2d: stride {}, padding {}, dilation {} of axis {} make no sense",
                      o.stride[i], o.padding[i], o.dilation[i], i);
  check<ShapeError>(o.groups > 0 && x.size(3) % o.groups == 0 && weight.size(0) % o.groups == 0,
                    "conv2d: {} groups do not divide {} and {} channels", o.groups, x.size(3),
                    weight.size(0));
  check<ShapeError>(weight.size(3) * o.groups == x.size(3),
                    "conv2d: x has {} channels, weight {} takes {} in {} groups", x.size(3),
                    weight.shape().str(), weight.size(3) * o.groups, o.groups);
  check<ShapeError>(weight.size(1) > 0 && weight.size(2) > 0, "conv2d: weight is {}",
                    weight.shape().str());
}

/// Shape of y; checks all that may be wrong with the inputs.
Shape y_shape(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  check_sizes(x, weight, o);
  const int64_t out = weight.size(0);
  check<ShapeError>(!bias || bias.shape() == Shape{out}, "conv2d: bias is {}, expected [{}]",
                    bias ? bias.shape().str() : "", out);
  const Dtype dtype = parameter_dtype(x);
  check<DtypeError>(weight.dtype() == dtype && (!bias || bias.dtype() == dtype),
                    "conv2d: x is {}, weight {}{}", name_of(x.dtype()), name_of(weight.dtype()),
                    bias ? fmt::format(", bias {}", name_of(bias.dtype())) : "");
  check<DeviceError>(weight.device() == x.device() && (!bias || bias.device() == x.device()),
                     "conv2d: x on {}, weight on {}{}", x.device().str(), weight.device().str(),
                     bias ? ", bias on " + bias.device().str() : "");
  const Conv2dGeometry g = geometry_of(o);
  const int64_t p = g.out_size(0, x.size(1), weight.size(1));
  const int64_t q = g.out_size(1, x.size(2), weight.size(2));
  check<ShapeError>(p > 0 && q > 0, "conv2d: weight {} does not fit into x {}",
                    weight.shape().str(), x.shape().str());
  return {x.size(0), p, q, out};
}

/// The current one, or, where sums of codes are exact, the nearest one whose factors hold them.
Precision precision_for(const Conv2dOptions& o) {
  const int64_t most = std::max(o.codes.max_x, o.codes.max_weight);
  const Precision current = current_precision();
  if (!o.exact || most <= kMostInBf16) return current;
  return current == Precision::f32 || most > kMostInTf32 ? Precision::f32 : Precision::tf32;
}

Tensor run(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o,
           const Tensor& given_residual, bool relu) {
  check<DeviceError>(!given_residual || given_residual.device() == x.device(),
                     "conv2d: residual on {}, x on {}",
                     given_residual ? given_residual.device().str() : "", x.device().str());
  const Dtype dtype = o.exact ? parameter_dtype(x) : activation_dtype(x);
  const Tensor residual = stored_as(given_residual, dtype);
  Tensor y = x.new_empty(y_shape(x, weight, bias, o), dtype);
  check<ShapeError>(!residual || residual.shape() == y.shape(),
                    "conv2d: residual is {}, expected {}", residual ? residual.shape().str() : "",
                    y.shape().str());
  if (y.numel() == 0) return y;
  with_layer(x.dtype(), dtype, "conv2d", [&]<class T, class X, class Y>() {
    using Op = kernels::Conv2d<T, X, Y>;
    typename Op::Args args;
    args.x = x.view<X, 4>();
    args.w = weight.view<T, 4>();
    if (bias) args.bias = bias.view<T, 1>();
    if (residual) args.residual = residual.view<Y, 4>();
    args.y = y.view<Y, 4>();
    args.geometry = geometry_of(o);
    args.relu = relu;
    args.exact = o.exact;
    args.precision = precision_for(o);
    launch_beside<Op>(x, args);
  });
  return y;
}

/// The sums alone, by integer kernels where they do.
Tensor forward(const Tensor& x, const Tensor& weight, const Tensor& bias, const Conv2dOptions& o) {
  if (o.codes.max_x == 0 || bias || !x.device().is_cpu()) return run(x, weight, bias, o, {}, false);
  if (y_shape(x, weight, bias, o).numel() > 0) {
    const Tensor y = fast_integer_conv2d(x, weight, o);
    if (y) return y;
  }
  return run(x, weight, bias, o, {}, false);
}

/// In `dtype`, as x is.
Tensor grad_of_x(const Tensor& grad_y, const Tensor& weight, const Shape& shape, Dtype dtype,
                 const Conv2dOptions& o) {
  Tensor grad_x = grad_y.new_empty(shape, dtype);
  if (grad_y.numel() == 0) return grad_x.new_zeros(shape);
  if (grad_x.numel() == 0) return grad_x;
  with_layer(dtype, grad_y.dtype(), "conv2d", [&]<class T, class X, class Y>() {
    launch_beside<kernels::Conv2dBackwardData<T, X, Y>>(
        grad_y, {grad_y.view<Y, 4>(), weight.view<T, 4>(), grad_x.view<X, 4>(), geometry_of(o),
                 current_precision()});
  });
  return grad_x;
}

/// Gradients of weight and, if asked for, bias.
std::pair<Tensor, Tensor> grad_of_weight(const Tensor& grad_y, const Tensor& x, const Shape& shape,
                                         bool with_bias, const Conv2dOptions& o) {
  const auto make = [&](const Shape& of) {
    const Tensor grad = x.new_empty(of, parameter_dtype(x));
    return grad_y.numel() == 0 ? grad.new_zeros(of) : grad;
  };
  Tensor grad_w = make(shape), grad_bias;
  if (with_bias) grad_bias = make({shape[0]});
  if (grad_y.numel() == 0) return {grad_w, grad_bias};
  with_layer(x.dtype(), grad_y.dtype(), "conv2d", [&]<class T, class X, class Y>() {
    using Op = kernels::Conv2dBackwardWeight<T, X, Y>;
    typename Op::Args args;
    args.x = x.view<X, 4>();
    args.grad_y = grad_y.view<Y, 4>();
    args.grad_w = grad_w.view<T, 4>();
    if (with_bias) args.grad_bias = grad_bias.view<T, 1>();
    args.geometry = geometry_of(o);
    args.precision = current_precision();
    launch_beside<Op>(x, args);
  });
  return {grad_w, grad_bias};
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& given_weight, const Tensor& given_bias,
              const Conv2dOptions& options) {
  const Tensor weight = widened(given_weight), bias = widened(given_bias);
  const Tensor y = forward(x, weight, bias, options);
  const bool wants_x = needs_grad(x), wants_bias = needs_grad(bias);
  const bool wants_weight = needs_grad(weight) || wants_bias;
  if (!wants_x && !wants_weight) return y;
  Conv2dOptions walk = options;  // without the bytes, which backward does not read
  walk.codes = {};
  const Saved for_weight(wants_weight ? x : Tensor()), for_x(wants_x ? weight : Tensor());
  return record("conv2d", y, {x, weight, bias},
                [for_weight, for_x, wants_x, wants_weight, wants_bias, walk, x_shape = x.shape(),
                 x_dtype = x.dtype(), w_shape = weight.shape(),
                 precision = current_precision()](const Tensor& g) {
                  const PrecisionGuard same(precision);
                  // Both products would round it: once is enough. A bias gets the sums of all bits.
                  const bool once = wants_x && wants_weight && !wants_bias;
                  const Tensor factor = once ? stored_as(g, activation_dtype(g)) : g;
                  std::vector<Tensor> grads(3);
                  if (wants_x) grads[0] = grad_of_x(factor, for_x.get(), x_shape, x_dtype, walk);
                  if (wants_weight)
                    std::tie(grads[1], grads[2]) =
                        grad_of_weight(factor, for_weight.get(), w_shape, wants_bias, walk);
                  return grads;
                });
}

Tensor conv2d_fused(const Tensor& x, const Tensor& weight, const Tensor& bias,
                    const Conv2dOptions& options, const Tensor& residual, bool relu) {
  return run(x, widened(weight), widened(bias), options, residual, relu);
}

}  // namespace apprentice

namespace {

using namespace apprentice;

OpSample conv_sample(const std::string& name, const Shape& x, const Shape& w, bool bias,
                     const Conv2dOptions& options, const Shape& y, Rng& rng) {
  std::vector<Tensor> inputs{Tensor::normal(x, 0, 1, rng), Tensor::normal(w, 0, 1, rng)};
  if (bias) inputs.push_back(Tensor::normal({w[0]}, 0, 1, rng));
  return {name, inputs,
          [options](const auto& in) {
            return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), options);
          },
          y};
}

}  // namespace

APPRENTICE_UNIT(conv2d) {
  op_samples().add("conv2d", [](Rng& rng) {
    const auto sample = [&](const char* name, Shape x, Shape w, bool bias, Conv2dOptions o,
                            Shape y) { return conv_sample(name, x, w, bias, o, y, rng); };
    return std::vector{
        sample("3x3 padded", {2, 4, 5, 3}, {4, 3, 3, 3}, true, {.padding = {1, 1}}, {2, 4, 5, 4}),
        sample("stride 2", {1, 5, 4, 2}, {3, 3, 3, 2}, false, {.stride = {2, 2}, .padding = {1, 1}},
               {1, 3, 2, 3}),
        sample("1x1", {3, 1, 1, 1}, {1, 1, 1, 1}, true, {}, {3, 1, 1, 1}),
        sample("grouped", {1, 3, 3, 4}, {6, 2, 2, 2}, true, {.groups = 2}, {1, 2, 2, 6}),
        sample("depthwise, dilated", {1, 6, 5, 3}, {3, 3, 3, 1}, false,
               {.padding = {2, 2}, .dilation = {2, 2}, .groups = 3}, {1, 6, 5, 3}),
        sample("asymmetric", {1, 5, 4, 2}, {2, 1, 3, 2}, true,
               {.stride = {2, 1}, .padding = {0, 2}, .dilation = {1, 2}}, {1, 3, 4, 2}),
        sample("no images", {0, 4, 4, 2}, {3, 3, 3, 2}, true, {}, {0, 2, 2, 3})};
  });
}
