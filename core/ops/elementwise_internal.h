#pragma once

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/launch_internal.h>
#include <apprentice/core/precision.h>
#include <apprentice/core/tensor.h>
#include <apprentice/kernels/map.h>

namespace apprentice {

/// The numbers a and b of a function.
struct Numbers {
  double a = 0, b = 0;
};

/// y = F(x; a, b), F of kernels/functions.inc; with grad_y, y = grad_y F'(x; a, b). `op` is what
/// errors call it.
template <class F>
Tensor map_elements(const char* op, const Tensor& x, Numbers numbers = {},
                    const Tensor& grad_y = {}) {
  Tensor y = x.new_empty(x.shape());
  with_real(x.dtype(), op, [&]<class T>() {
    typename kernels::MapUnary<F, T>::Args args;
    args.x = x.flat<T>();
    if (grad_y) args.grad_y = grad_y.flat<T>();
    args.y = y.flat<T>();
    args.a = kernels::compute_of<T>(numbers.a);
    args.b = kernels::compute_of<T>(numbers.b);
    launch_beside<kernels::MapUnary<F, T>>(x, args);
  });
  return y;
}

/// y = F(a, b) under broadcasting, of one dtype and on one device.
template <class F>
Tensor map_elements(const char* op, const Tensor& a, const Tensor& b) {
  check_beside(op, a, b);
  const Shape shape = a.shape() == b.shape() ? a.shape() : broadcast(a.shape(), b.shape(), op);
  Tensor y = a.new_empty(shape);
  with_real(a.dtype(), op, [&]<class T>() {
    launch_beside<kernels::MapBinary<F, T>>(
        a, {kernels::plan_broadcast(a.shape(), b.shape(), shape), a.flat<T>().data,
            b.flat<T>().data, y.flat<T>()});
  });
  return y;
}

/// y = F(x) with grad_x = grad_y F'(x); saves x.
template <class F>
Tensor unary_op(const char* op, const Tensor& x, Numbers numbers = {}) {
  Tensor y = map_elements<F>(op, x, numbers);
  if (!needs_grad(x)) return y;
  return record(op, y, {x}, [op, numbers, saved = Saved(x)](const Tensor& grad_y) {
    return std::vector{map_elements<F>(op, saved.get(), numbers, grad_y)};
  });
}

/// The same for an F whose slope is given as a function of y; saves y. Only for functions of which
/// a y that is rounded to bf16 gives the slope of the y that was not.
template <class F>
Tensor unary_op_of_result(const char* op, const Tensor& x, Numbers numbers = {}) {
  Tensor y = map_elements<F>(op, x, numbers);
  if (!needs_grad(x)) return y;
  return record(op, y, {x}, [op, numbers, saved = Saved(y)](const Tensor& grad_y) {
    return std::vector{map_elements<F>(op, saved.get(), numbers, grad_y)};
  });
}

/// The same for any F of that kind: where y is bf16 it saves x, of which backward makes y in f32.
template <class F>
Tensor unary_op_of_wide_result(const char* op, const Tensor& x) {
  if (x.dtype() != Dtype::bf16 || !needs_grad(x)) return unary_op_of_result<F>(op, x);
  const Tensor y = map_elements<F>(op, x);
  return record(op, y, {x}, [op, saved = Saved(x)](const Tensor& grad_y) {
    const Tensor wide = map_elements<F>(op, widened(saved.get()));
    const Tensor grad_x = map_elements<F>(op, wide, {}, widened(grad_y));
    return std::vector{stored_as(grad_x, Dtype::bf16)};
  });
}

}  // namespace apprentice
