#include <apprentice/core/move.h>

#include <apprentice/core/tensor_internal.h>

namespace apprentice {

void move_to(Tensor tensor, Device device) {
  if (tensor.device() == device) return;
  check(!tensor.node(), "move_to: this is the result of an operation, expected a leaf");
  const Tensor moved = tensor.to(device);
  TensorImpl& impl = *tensor.impl();
  impl.storage = moved.impl()->storage;
  impl.offset = 0;
  if (impl.grad) impl.grad = impl.grad.to(device);
}

}  // namespace apprentice
