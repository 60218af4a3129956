#include <apprentice/core/ops/arithmetic.h>

#include <apprentice/base/unit.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/elementwise_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/precision.h>
#include <apprentice/core/tensor_internal.h>

namespace apprentice {

namespace f = kernels::functions;

namespace {

/// Shapes of two broadcast inputs, and who of them wants a gradient: what every vjp here needs.
struct Pair {
  Pair(const Tensor& a, const Tensor& b)
      : a_shape(a.shape()), b_shape(b.shape()), wants_a(needs_grad(a)), wants_b(needs_grad(b)) {}
  bool wanted() const { return wants_a || wants_b; }
  /// The gradients, each made only if wanted, summed back over broadcast axes.
  template <class A, class B>
  std::vector<Tensor> grads(A grad_a, B grad_b) const {
    return {wants_a ? sum_to(grad_a(), a_shape) : Tensor(),
            wants_b ? sum_to(grad_b(), b_shape) : Tensor()};
  }

  Shape a_shape, b_shape;
  bool wants_a, wants_b;
};

/// The one of a and b that F takes, with Share of the gradient to each.
template <class F, class Share>
Tensor choose(const char* op, const Tensor& a, const Tensor& b) {
  if (differ_in_storage(a, b)) return choose<F, Share>(op, widened(a), widened(b));
  Tensor y = map_elements<F>(op, a, b);
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record(op, y, {a, b}, [op, pair, a = Saved(a), b = Saved(b)](const Tensor& g) {
    return pair.grads([&] { return mul(g, map_elements<Share>(op, a.get(), b.get())); },
                      [&] { return mul(g, map_elements<Share>(op, b.get(), a.get())); });
  });
}

/// op(x, number as a tensor) in the dtype of x, for operations that have no form of their own for
/// numbers. Beside bf16 the number is f32.
template <class Op>
Tensor with_number(const Tensor& x, double value, Op op) {
  Tensor number = x.new_empty({}, parameter_dtype(x));
  number.fill(value);
  return stored_as(op(x, number), x.dtype());
}

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  if (differ_in_storage(a, b)) return add(widened(a), widened(b));
  Tensor y = map_elements<f::add>("add", a, b);
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record("add", y, {a, b}, [pair](const Tensor& g) {
    return pair.grads([&] { return g; }, [&] { return g; });
  });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  if (differ_in_storage(a, b)) return sub(widened(a), widened(b));
  Tensor y = map_elements<f::sub>("sub", a, b);
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record("sub", y, {a, b}, [pair](const Tensor& g) {
    return pair.grads([&] { return g; }, [&] { return neg(g); });
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  if (differ_in_storage(a, b)) return mul(widened(a), widened(b));
  Tensor y = map_elements<f::mul>("mul", a, b);
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  const Saved for_b(pair.wants_b ? a : Tensor()), for_a(pair.wants_a ? b : Tensor());
  return record("mul", y, {a, b}, [pair, for_a, for_b](const Tensor& g) {
    return pair.grads([&] { return mul(g, for_a.get()); }, [&] { return mul(g, for_b.get()); });
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  if (differ_in_storage(a, b)) return div(widened(a), widened(b));
  Tensor y = map_elements<f::div>("div", a, b);
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  const Saved result(pair.wants_b ? y : Tensor());
  return record("div", y, {a, b}, [pair, b = Saved(b), result](const Tensor& g) {
    return pair.grads([&] { return div(g, b.get()); },
                      [&] { return neg(div(mul(g, result.get()), b.get())); });
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) {
  return choose<f::maximum, f::share_of_maximum>("maximum", a, b);
}
Tensor minimum(const Tensor& a, const Tensor& b) {
  return choose<f::minimum, f::share_of_minimum>("minimum", a, b);
}
Tensor maximum(const Tensor& a, double b) {
  return with_number(a, b,
                     [](const Tensor& x, const Tensor& number) { return maximum(x, number); });
}
Tensor minimum(const Tensor& a, double b) {
  return with_number(a, b,
                     [](const Tensor& x, const Tensor& number) { return minimum(x, number); });
}

Tensor neg(const Tensor& x) {
  Tensor y = map_elements<f::neg>("neg", x);
  return record("neg", y, {x}, [](const Tensor& g) { return std::vector{neg(g)}; });
}

Tensor abs(const Tensor& x) { return unary_op<f::abs>("abs", x); }
Tensor exp(const Tensor& x) { return unary_op_of_wide_result<f::exp>("exp", x); }
Tensor log(const Tensor& x) { return unary_op<f::log>("log", x); }
Tensor sqrt(const Tensor& x) { return unary_op_of_wide_result<f::sqrt>("sqrt", x); }
Tensor square(const Tensor& x) { return unary_op<f::square>("square", x); }
Tensor clamp(const Tensor& x, double low, double high) {
  return unary_op<f::clamp>("clamp", x, {low, high});
}
Tensor round(const Tensor& x) { return map_elements<f::round>("round", x); }
Tensor sign(const Tensor& x) { return map_elements<f::sign>("sign", x); }

Tensor operator-(const Tensor& x) { return neg(x); }
Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }

Tensor operator+(const Tensor& a, double b) {
  Tensor y = map_elements<f::add_number>("add", a, {b});
  return record("add", y, {a}, [](const Tensor& g) { return std::vector{g}; });
}
Tensor operator*(const Tensor& a, double b) {
  Tensor y = map_elements<f::mul_number>("mul", a, {b});
  return record("mul", y, {a}, [b](const Tensor& g) { return std::vector{g * b}; });
}
Tensor operator/(const Tensor& a, double b) {
  Tensor y = map_elements<f::div_number>("div", a, {b});
  return record("div", y, {a}, [b](const Tensor& g) { return std::vector{g / b}; });
}
Tensor operator-(const Tensor& a, double b) { return a + -b; }
Tensor operator+(double a, const Tensor& b) { return b + a; }
Tensor operator*(double a, const Tensor& b) { return b * a; }
Tensor operator-(double a, const Tensor& b) {
  return with_number(b, a, [](const Tensor& x, const Tensor& number) { return sub(number, x); });
}
Tensor operator/(double a, const Tensor& b) {
  return with_number(b, a, [](const Tensor& x, const Tensor& number) { return div(number, x); });
}

void accumulate(Tensor& a, const Tensor& b) {
  check<ShapeError>(a.shape() == b.shape(), "gradient: got {}, expected {}", b.shape().str(),
                    a.shape().str());
  check_beside("gradient", a, b);
  with_real(a.dtype(), "gradient", [&]<class T>() {
    launch_beside<kernels::MapBinary<f::add, T>>(
        a, {kernels::plan_broadcast(a.shape(), a.shape(), a.shape()), a.flat<T>().data,
            b.flat<T>().data, a.flat<T>()});
  });
}

}  // namespace apprentice

APPRENTICE_UNIT(arithmetic) {
  using namespace apprentice;
  const auto unary = [](const char* name, std::function<Tensor(const Tensor&)> op, float low,
                        float high) {
    op_samples().add(name, [=](Rng& rng) { return unary_samples(op, low, high, rng); });
  };
  const auto binary = [](const char* name, Tensor (*op)(const Tensor&, const Tensor&), float low) {
    op_samples().add(name, [=](Rng& rng) { return binary_samples(op, low, 2, rng); });
  };
  binary("add", add, -2);
  binary("sub", sub, -2);
  binary("mul", mul, -2);
  binary("div", div, 0.5);
  binary("maximum", maximum, -2);
  binary("minimum", minimum, -2);
  unary("neg", neg, -2, 2);
  unary(
      "abs", [](const Tensor& x) { return abs(x); }, -2, 2);
  unary(
      "exp", [](const Tensor& x) { return exp(x); }, -2, 2);
  unary(
      "log", [](const Tensor& x) { return log(x); }, 0.5, 4);
  unary(
      "sqrt", [](const Tensor& x) { return sqrt(x); }, 0.5, 4);
  unary("square", square, -2, 2);
  unary(
      "clamp", [](const Tensor& x) { return clamp(x, -1, 0.5); }, -2, 2);
  unary(
      "maximum_number", [](const Tensor& x) { return maximum(x, 0.25); }, -2, 2);
  unary(
      "minimum_number", [](const Tensor& x) { return minimum(x, 0.25); }, -2, 2);
  unary(
      "numbers", [](const Tensor& x) { return 3 - (2 * x + 1 - 0.5) / 4 + 1 / (x * 3); }, 0.5, 2);
}
