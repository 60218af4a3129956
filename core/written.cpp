#include <apprentice/core/written.h>

#include <apprentice/core/tensor_internal.h>

namespace apprentice {

uint64_t times_written(const Tensor& tensor) {
  check(tensor.defined(), "tensor: undefined");
  return tensor.impl()->storage->version.load(std::memory_order_relaxed);
}

}  // namespace apprentice
