#include <apprentice/core/ops/arithmetic.h>

#include <cmath>

#include <apprentice/base/unit.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/elementwise_internal.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/tensor_internal.h>

namespace apprentice {
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

/// g where `first` is chosen, half of it in a tie.
template <class Better>
std::vector<Tensor> choice_grads(const char* op, const Pair& pair, const Tensor& a, const Tensor& b,
                                 const Tensor& g, Better better) {
  const auto share = [&](const Tensor& first, const Tensor& second) {
    return mul(g, map_elements(op, first, second, [better](auto u, auto v) {
                 using T = decltype(u);
                 return u == v ? T(0.5) : better(u, v) ? T(1) : T(0);
               }));
  };
  return pair.grads([&] { return share(a, b); }, [&] { return share(b, a); });
}

/// a where better(a, b) or a is NaN, else b.
template <class Better>
Tensor choose(const char* op, const Tensor& a, const Tensor& b, Better better) {
  Tensor y =
      map_elements(op, a, b, [better](auto u, auto v) { return better(u, v) || u != u ? u : v; });
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record(op, y, {a, b}, [op, pair, better, a = Saved(a), b = Saved(b)](const Tensor& g) {
    return choice_grads(op, pair, a.get(), b.get(), g, better);
  });
}

constexpr auto kGreater = [](auto u, auto v) { return u > v; };
constexpr auto kLess = [](auto u, auto v) { return u < v; };

/// A number as the tensor beside it, for operations that have no form of their own for numbers.
Tensor like(const Tensor& x, double value) { return Tensor::scalar(value, x.dtype()); }

}  // namespace

Tensor add(const Tensor& a, const Tensor& b) {
  Tensor y = map_elements("add", a, b, [](auto u, auto v) { return u + v; });
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record("add", y, {a, b}, [pair](const Tensor& g) {
    return pair.grads([&] { return g; }, [&] { return g; });
  });
}

Tensor sub(const Tensor& a, const Tensor& b) {
  Tensor y = map_elements("sub", a, b, [](auto u, auto v) { return u - v; });
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  return record("sub", y, {a, b}, [pair](const Tensor& g) {
    return pair.grads([&] { return g; }, [&] { return neg(g); });
  });
}

Tensor mul(const Tensor& a, const Tensor& b) {
  Tensor y = map_elements("mul", a, b, [](auto u, auto v) { return u * v; });
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  const Saved for_b(pair.wants_b ? a : Tensor()), for_a(pair.wants_a ? b : Tensor());
  return record("mul", y, {a, b}, [pair, for_a, for_b](const Tensor& g) {
    return pair.grads([&] { return mul(g, for_a.get()); }, [&] { return mul(g, for_b.get()); });
  });
}

Tensor div(const Tensor& a, const Tensor& b) {
  Tensor y = map_elements("div", a, b, [](auto u, auto v) { return u / v; });
  const Pair pair(a, b);
  if (!pair.wanted()) return y;
  const Saved result(pair.wants_b ? y : Tensor());
  return record("div", y, {a, b}, [pair, b = Saved(b), result](const Tensor& g) {
    return pair.grads([&] { return div(g, b.get()); },
                      [&] { return neg(div(mul(g, result.get()), b.get())); });
  });
}

Tensor maximum(const Tensor& a, const Tensor& b) { return choose("maximum", a, b, kGreater); }
Tensor minimum(const Tensor& a, const Tensor& b) { return choose("minimum", a, b, kLess); }
Tensor maximum(const Tensor& a, double b) { return maximum(a, like(a, b)); }
Tensor minimum(const Tensor& a, double b) { return minimum(a, like(a, b)); }

Tensor neg(const Tensor& x) {
  Tensor y = map_elements("neg", x, [](auto v) { return -v; });
  return record("neg", y, {x}, [](const Tensor& g) { return std::vector{neg(g)}; });
}

Tensor abs(const Tensor& x) {
  return unary_op(
      "abs", x, [](auto v) { return std::abs(v); },
      [](auto v) { return decltype(v)((v > 0) - (v < 0)); });
}

Tensor exp(const Tensor& x) {
  return unary_op_of_result(
      "exp", x, [](auto v) { return std::exp(v); }, [](auto y) { return y; });
}

Tensor log(const Tensor& x) {
  return unary_op(
      "log", x, [](auto v) { return std::log(v); }, [](auto v) { return 1 / v; });
}

Tensor sqrt(const Tensor& x) {
  return unary_op_of_result(
      "sqrt", x, [](auto v) { return std::sqrt(v); }, [](auto y) { return decltype(y)(0.5) / y; });
}

Tensor square(const Tensor& x) {
  return unary_op(
      "square", x, [](auto v) { return v * v; }, [](auto v) { return 2 * v; });
}

Tensor clamp(const Tensor& x, double low, double high) {
  return unary_op(
      "clamp", x,
      [=](auto v) {
        using T = decltype(v);
        return v < T(low) ? T(low) : v > T(high) ? T(high) : v;
      },
      [=](auto v) { return decltype(v)(v >= decltype(v)(low) && v <= decltype(v)(high)); });
}

Tensor round(const Tensor& x) {
  return map_elements("round", x, [](auto v) { return std::nearbyint(v); });
}

Tensor sign(const Tensor& x) {
  return map_elements("sign", x, [](auto v) { return decltype(v)((v > 0) - (v < 0)); });
}

Tensor operator-(const Tensor& x) { return neg(x); }
Tensor operator+(const Tensor& a, const Tensor& b) { return add(a, b); }
Tensor operator-(const Tensor& a, const Tensor& b) { return sub(a, b); }
Tensor operator*(const Tensor& a, const Tensor& b) { return mul(a, b); }
Tensor operator/(const Tensor& a, const Tensor& b) { return div(a, b); }

Tensor operator+(const Tensor& a, double b) {
  Tensor y = map_elements("add", a, [b](auto v) { return v + decltype(v)(b); });
  return record("add", y, {a}, [](const Tensor& g) { return std::vector{g}; });
}
Tensor operator*(const Tensor& a, double b) {
  Tensor y = map_elements("mul", a, [b](auto v) { return v * decltype(v)(b); });
  return record("mul", y, {a}, [b](const Tensor& g) { return std::vector{g * b}; });
}
Tensor operator/(const Tensor& a, double b) {
  Tensor y = map_elements("div", a, [b](auto v) { return v / decltype(v)(b); });
  return record("div", y, {a}, [b](const Tensor& g) { return std::vector{g / b}; });
}
Tensor operator-(const Tensor& a, double b) { return a + -b; }
Tensor operator+(double a, const Tensor& b) { return b + a; }
Tensor operator*(double a, const Tensor& b) { return b * a; }
Tensor operator-(double a, const Tensor& b) { return sub(like(b, a), b); }
Tensor operator/(double a, const Tensor& b) { return div(like(b, a), b); }

void accumulate(Tensor& a, const Tensor& b) {
  check<ShapeError>(a.shape() == b.shape(), "gradient: got {}, expected {}", b.shape().str(),
                    a.shape().str());
  with_float(a.dtype(), "gradient", [&]<class T>() {
    const View1<T> sum{a.data<T>(), {a.numel()}};
    kernels::map_binary(View1<const T>(sum), View1<const T>{b.data<T>(), {b.numel()}}, sum,
                        [](T u, T v) { return u + v; });
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
