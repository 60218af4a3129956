#pragma once

#include <cstdint>

#include <apprentice/core/tensor.h>

namespace apprentice {

/// How often somebody has asked to write to the memory of the tensor. While it stays what it was,
/// what was worked out from the elements is right. Launches of a Graph (base/graph.h) that write
/// there do not count.
uint64_t times_written(const Tensor& tensor);

}  // namespace apprentice
