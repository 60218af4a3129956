#pragma once

// Macros of the nvcc build; simt.h explains them. Both builds of a kernel may be linked into one
// program, so no symbol is shared: functions live in the inline namespace api_dev, kernels in
// SIMT_NS.
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

#include <apprentice/kernels/simt/types.h>

#define SIMT_NS dev
#define SIMT_API api_dev
#define SIMT_KERNEL [[maybe_unused]] static __global__ void
#define SIMT_KERNEL_BOUNDS(threads, min_blocks) \
  [[maybe_unused]] static __global__ void __launch_bounds__(threads, min_blocks)
#define SIMT_FN __device__ __forceinline__
#define SIMT_HD __host__ __device__ __forceinline__
#define SIMT_SHARED(T, name, count) __shared__ T name[count]
#define SIMT_GRID_CONSTANT __grid_constant__
#define SIMT_UNROLL _Pragma("unroll")
#define SIMT_RESTRICT __restrict__

namespace apprentice::simt {
inline namespace api_dev {

/// The address of shared memory that instructions take.
SIMT_FN uint32_t shared_address(const void* p) { return uint32_t(__cvta_generic_to_shared(p)); }

}  // namespace api_dev
}  // namespace apprentice::simt
