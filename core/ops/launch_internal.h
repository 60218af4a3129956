#pragma once

#include <apprentice/base/stream.h>
#include <apprentice/core/tensor.h>
#include <apprentice/kernels/kernel_table.h>

namespace apprentice {

/// Runs Op in the current stream of the device that `x` lies on.
template <class Op>
void launch_beside(const Tensor& x, const typename Op::Args& args) {
  kernels::launch<Op>(args, current_stream(x.device()));
}

/// DtypeError or DeviceError unless both tensors are of one dtype and on one device.
inline void check_beside(const char* op, const Tensor& a, const Tensor& b) {
  check<DtypeError>(a.dtype() == b.dtype(), "{}: dtypes {} and {} differ", op, name_of(a.dtype()),
                    name_of(b.dtype()));
  check<DeviceError>(a.device() == b.device(), "{}: tensors on {} and {}, expected one device", op,
                     a.device().str(), b.device().str());
}

}  // namespace apprentice
