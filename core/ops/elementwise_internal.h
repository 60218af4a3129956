#pragma once

#include <utility>

#include <apprentice/core/autograd.h>
#include <apprentice/core/tensor.h>
#include <apprentice/kernels/elementwise.h>

namespace apprentice {

/// y = f(x), f a function of one number of either float type.
template <class F>
Tensor map_elements(const char* op, const Tensor& x, F f) {
  Tensor y = Tensor::empty(x.shape(), x.dtype());
  with_float(x.dtype(), op, [&]<class T>() {
    const int64_t n = x.numel();
    kernels::map_unary(View1<const T>{x.data<T>(), {n}}, View1<T>{y.data<T>(), {n}}, f);
  });
  return y;
}

/// y = f(a, b) under broadcasting, one dtype.
template <class F>
Tensor map_elements(const char* op, const Tensor& a, const Tensor& b, F f) {
  check<DtypeError>(a.dtype() == b.dtype(), "{}: dtypes {} and {} differ", op, name_of(a.dtype()),
                    name_of(b.dtype()));
  const bool same = a.shape() == b.shape();
  const Shape shape = same ? a.shape() : broadcast(a.shape(), b.shape(), op);
  Tensor y = Tensor::empty(shape, a.dtype());
  with_float(a.dtype(), op, [&]<class T>() {
    const int64_t n = y.numel();
    if (same)
      kernels::map_binary(View1<const T>{a.data<T>(), {n}}, View1<const T>{b.data<T>(), {n}},
                          View1<T>{y.data<T>(), {n}}, f);
    else
      kernels::map_binary(a.shape(), a.data<T>(), b.shape(), b.data<T>(), shape, y.data<T>(), f);
  });
  return y;
}

/// y = f(x) with grad_x = grad_y * derivative(x); saves x.
template <class F, class D>
Tensor unary_op(const char* op, const Tensor& x, F f, D derivative) {
  Tensor y = map_elements(op, x, f);
  if (!needs_grad(x)) return y;
  return record(op, y, {x}, [op, derivative, saved = Saved(x)](const Tensor& grad_y) {
    return std::vector{map_elements(op, grad_y, saved.get(),
                                    [derivative](auto g, auto v) { return g * derivative(v); })};
  });
}

/// The same with the derivative as a function of y; saves y.
template <class F, class D>
Tensor unary_op_of_result(const char* op, const Tensor& x, F f, D derivative) {
  Tensor y = map_elements(op, x, f);
  if (!needs_grad(x)) return y;
  return record(op, y, {x}, [op, derivative, saved = Saved(y)](const Tensor& grad_y) {
    return std::vector{map_elements(op, grad_y, saved.get(),
                                    [derivative](auto g, auto v) { return g * derivative(v); })};
  });
}

}  // namespace apprentice
