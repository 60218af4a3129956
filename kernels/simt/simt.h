#pragma once

// One kernel source, two builds. Under nvcc every simt:: function is a CUDA builtin or one PTX
// instruction; under a plain C++ compiler the same functions run on the SIMT emulator, where the
// threads of a block are fibers (emulator.h; docs/emulator.md).
//
// A kernel file (kernels/cuda/*.cuh) includes this header and no other of CUDA, and lives in
// `namespace apprentice::kernels::SIMT_NS`. Macros of both builds:
//   SIMT_KERNEL name(args)                    a kernel; args are trivially copyable
//   SIMT_KERNEL_BOUNDS(threads, blocks) name  the same with its launch bounds
//   SIMT_FN, SIMT_HD, SIMT_CX                 device, host and device, constexpr host and device
//   SIMT_SHARED(T, name, count)               static shared memory: T name[count]
//   SIMT_GRID_CONSTANT                        before a parameter of type const simt::TensorMap
//   SIMT_UNROLL, SIMT_RESTRICT
// threadIdx, blockIdx, blockDim and gridDim are as in CUDA.
#include <apprentice/kernels/simt/types.h>

#if defined(__CUDACC__)
#include <apprentice/kernels/simt/device/async_copy.h>
#include <apprentice/kernels/simt/device/launch.h>
#include <apprentice/kernels/simt/device/memory.h>
#include <apprentice/kernels/simt/device/mma.h>
#include <apprentice/kernels/simt/device/sync.h>
#include <apprentice/kernels/simt/device/tensor_map.h>
#include <apprentice/kernels/simt/device/warp.h>
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#include <apprentice/kernels/simt/device/mbarrier.h>
#include <apprentice/kernels/simt/device/wgmma.h>
#endif
#else
#include <apprentice/kernels/simt/emulated/async_copy.h>
#include <apprentice/kernels/simt/emulated/launch.h>
#include <apprentice/kernels/simt/emulated/mbarrier.h>
#include <apprentice/kernels/simt/emulated/memory.h>
#include <apprentice/kernels/simt/emulated/mma.h>
#include <apprentice/kernels/simt/emulated/sync.h>
#include <apprentice/kernels/simt/emulated/tensor_map.h>
#include <apprentice/kernels/simt/emulated/warp.h>
#include <apprentice/kernels/simt/emulated/wgmma.h>
#endif

#include <apprentice/kernels/simt/buffer.h>
