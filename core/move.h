#pragma once

#include <apprentice/core/tensor.h>

namespace apprentice {

/// Moves the elements of `tensor`, and its gradient, to another device, in place: every copy of
/// this handle follows, and so does whoever keeps one (optimizers, quantizers). Views of its memory
/// (slice, reshape, detach) do not. Error for the result of an operation, DeviceError if the device
/// is not there.
void move_to(Tensor tensor, Device device);

}  // namespace apprentice
