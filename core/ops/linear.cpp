#include <apprentice/core/ops/linear.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/gemm.h>

namespace apprentice {
namespace {

/// op(a) op(b) + bias, outside the graph.
Tensor gemm(const char* op, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
            const Tensor& bias = {}) {
  check<ShapeError>(a.rank() == 2 && b.rank() == 2, "{}: got {} and {}, expected two axes each", op,
                    a.shape().str(), b.shape().str());
  check_beside(op, a, b);
  const int64_t m = a.size(transpose_a ? 1 : 0), k = a.size(transpose_a ? 0 : 1);
  const int64_t n = b.size(transpose_b ? 0 : 1), kb = b.size(transpose_b ? 1 : 0);
  check<ShapeError>(k == kb, "{}: {}{} times {}{} do not fit", op, a.shape().str(),
                    transpose_a ? "^T" : "", b.shape().str(), transpose_b ? "^T" : "");
  Tensor c = k == 0 && !bias ? a.new_zeros({m, n}) : a.new_empty({m, n});
  if (c.numel() == 0 || (k == 0 && !bias)) return c;
  with_float(a.dtype(), op, [&]<class T>() {
    typename kernels::Gemm<T>::Args args;
    args.a = a.view<T, 2>();
    args.b = b.view<T, 2>();
    if (bias) args.bias = bias.view<T, 1>();
    args.c = c.view<T, 2>();
    args.transpose_a = transpose_a;
    args.transpose_b = transpose_b;
    args.precision = current_precision();
    launch_beside<kernels::Gemm<T>>(a, args);
  });
  return c;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  if (a.dtype() == Dtype::bf16 || b.dtype() == Dtype::bf16)
    return matmul(widened(a), widened(b), ta, tb);
  Tensor c = gemm("matmul", a, b, ta, tb);
  const bool wants_a = needs_grad(a), wants_b = needs_grad(b);
  if (!wants_a && !wants_b) return c;
  const Saved for_b(wants_b ? a : Tensor()), for_a(wants_a ? b : Tensor());
  // C = AB: dA = G B^T, dB = A^T G; where A (B) is given transposed, so is its gradient.
  return record("matmul", c, {a, b}, [=, precision = current_precision()](const Tensor& g) {
    const PrecisionGuard same(precision);
    std::vector<Tensor> grads(2);
    if (wants_a)
      grads[0] = ta ? matmul(for_a.get(), g, tb, true) : matmul(g, for_a.get(), false, !tb);
    if (wants_b)
      grads[1] = tb ? matmul(g, for_b.get(), true, ta) : matmul(for_b.get(), g, !ta, false);
    return grads;
  });
}

Tensor linear(const Tensor& given, const Tensor& given_weight, const Tensor& given_bias) {
  const Tensor x = widened(given), weight = widened(given_weight), bias = widened(given_bias);
  check<ShapeError>(weight.rank() == 2, "linear: weight is {}, expected [out, in]",
                    weight.shape().str());
  const int64_t out = weight.size(0), in = weight.size(1);
  check<ShapeError>(x.rank() > 0 && x.size(-1) == in, "linear: x is {}, its last axis must be {}",
                    x.shape().str(), in);
  check<ShapeError>(!bias || bias.shape() == Shape{out}, "linear: bias is {}, expected [{}]",
                    bias ? bias.shape().str() : "", out);
  check<DtypeError>(!bias || bias.dtype() == x.dtype(), "linear: x is {}, bias {}",
                    name_of(x.dtype()), bias ? name_of(bias.dtype()) : "");
  int64_t rows = 1;
  for (int i = 0; i + 1 < x.rank(); ++i) rows *= x.size(i);
  Shape shape = x.shape();
  shape[x.rank() - 1] = out;

  const Tensor flat = x.alias({rows, in});
  Tensor y = gemm("linear", flat, weight, false, true, bias).alias(shape);
  const bool wants_x = needs_grad(x), wants_w = needs_grad(weight), wants_bias = needs_grad(bias);
  if (!wants_x && !wants_w && !wants_bias) return y;
  const Saved for_w(wants_w ? flat : Tensor()), for_x(wants_x ? weight : Tensor());
  return record("linear", y, {x, weight, bias},
                [=, x_shape = x.shape(), flat_y = Shape{rows, out},
                 precision = current_precision()](const Tensor& grad_y) {
                  const PrecisionGuard same(precision);
                  const Tensor g = grad_y.alias(flat_y);
                  std::vector<Tensor> grads(3);
                  if (wants_x) grads[0] = matmul(g, for_x.get()).alias(x_shape);
                  if (wants_w) grads[1] = matmul(g, for_w.get(), true);
                  if (wants_bias) grads[2] = sum(g, 0);
                  return grads;
                });
}

}  // namespace apprentice

APPRENTICE_UNIT(linear) {
  using namespace apprentice;
  op_samples().add("matmul", [](Rng& rng) {
    std::vector<OpSample> samples;
    for (const auto& [m, k, n] :
         {std::array<int64_t, 3>{3, 5, 2}, {1, 1, 1}, {4, 3, 7}, {0, 3, 2}, {2, 0, 3}})
      for (int t = 0; t < 4; ++t) {
        const bool ta = t & 1, tb = t & 2;
        samples.push_back({fmt::format("{} {} {} transposed {} {}", m, k, n, ta, tb),
                           {Tensor::normal(ta ? Shape{k, m} : Shape{m, k}, 0, 1, rng),
                            Tensor::normal(tb ? Shape{n, k} : Shape{k, n}, 0, 1, rng)},
                           [=](const auto& in) { return matmul(in[0], in[1], ta, tb); },
                           Shape{m, n}});
      }
    return samples;
  });
  op_samples().add("linear", [](Rng& rng) {
    const auto sample = [&](const Shape& x, int64_t out, bool bias, const Shape& y) {
      std::vector<Tensor> inputs{Tensor::normal(x, 0, 1, rng),
                                 Tensor::normal({out, x.size(-1)}, 0, 1, rng)};
      if (bias) inputs.push_back(Tensor::normal({out}, 0, 1, rng));
      return OpSample{
          x.str(), inputs,
          [](const auto& in) { return linear(in[0], in[1], in.size() > 2 ? in[2] : Tensor()); }, y};
    };
    return std::vector{sample({3, 5}, 4, true, {3, 4}), sample({5}, 2, true, {2}),
                       sample({2, 3, 1}, 1, false, {2, 3, 1}), sample({0, 3}, 2, true, {0, 2})};
  });
}
