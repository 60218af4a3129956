#pragma once

#include <apprentice/base/error.h>
#include <apprentice/base/stream.h>
#include <apprentice/core/tensor.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice {

/// Runs Op in the current stream of the device that `x` lies on.
template <class Op>
void launch_beside(const Tensor& x, const typename Op::Args& args) {
  kernels::launch<Op>(args, current_stream(x.device()));
}

/// Calls fn.template operator()<T>() with the type in which real numbers of `dtype` lie: float,
/// double or Bf16; DtypeError, naming `op`, otherwise.
template <class Fn>
decltype(auto) with_real(Dtype dtype, std::string_view op, Fn&& fn) {
  if (dtype == Dtype::bf16) return fn.template operator()<Bf16>();
  return with_float(dtype, op, std::forward<Fn>(fn));
}

/// Calls fn.template operator()<T, X, Y>() for an operation with parameters of T whose input lies
/// in X and whose output lies in Y: all one, or bf16 beside T = float (kernels/types.h).
template <class Fn>
decltype(auto) with_layer(Dtype x, Dtype y, std::string_view op, Fn&& fn) {
  if (x == Dtype::bf16 && y == Dtype::bf16) return fn.template operator()<float, Bf16, Bf16>();
  if (x == Dtype::bf16) return fn.template operator()<float, Bf16, float>();
  if (y == Dtype::bf16) return fn.template operator()<float, float, Bf16>();
  return with_float(x, op, [&]<class T>() { return fn.template operator()<T, T, T>(); });
}

/// The dtype of the parameters of a layer of x.
inline Dtype parameter_dtype(const Tensor& x) {
  return x.dtype() == Dtype::bf16 ? Dtype::f32 : x.dtype();
}

/// DtypeError or DeviceError unless both tensors are of one dtype and on one device.
inline void check_beside(const char* op, const Tensor& a, const Tensor& b) {
  check<DtypeError>(a.dtype() == b.dtype(), "{}: dtypes {} and {} differ", op, name_of(a.dtype()),
                    name_of(b.dtype()));
  check<DeviceError>(a.device() == b.device(), "{}: tensors on {} and {}, expected one device", op,
                     a.device().str(), b.device().str());
}

}  // namespace apprentice
