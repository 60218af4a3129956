#pragma once

#include <cuda.h>

#include <type_traits>

#include <apprentice/kernels/simt/device/launch.h>
#include <apprentice/kernels/simt/tensor_map_spec.h>

namespace apprentice::simt {
inline namespace api_dev {

/// A kernel takes it by value, as `SIMT_GRID_CONSTANT const simt::TensorMap map`.
struct TensorMap {
  CUtensorMap bytes;
};

/// A function of the driver, found at run time: nothing is linked with it.
template <class Function>
Function driver_function(const char* name) {
  void* entry = nullptr;
  cudaDriverEntryPointQueryResult found;
  check_cuda(cudaGetDriverEntryPointByVersion(name, &entry, 12000, cudaEnableDefault, &found),
             name);
  if (found != cudaDriverEntryPointSuccess)
    throw DeviceError(std::string(name) + ": the driver does not have it");
  return reinterpret_cast<Function>(entry);
}

/// The tensor map of a tensor at `base`. Throws DeviceError if the driver refuses it.
inline TensorMap make_tensor_map(const TensorMapSpec& spec, const void* base) {
  constexpr CUtensorMapDataType types[] = {
      CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_DATA_TYPE_UINT16,
      CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_DATA_TYPE_UINT32};
  constexpr CUtensorMapSwizzle swizzles[] = {CU_TENSOR_MAP_SWIZZLE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                             CU_TENSOR_MAP_SWIZZLE_64B,
                                             CU_TENSOR_MAP_SWIZZLE_32B};  // in the order of Swizzle
  const auto type = types[spec.element_bytes];
  const auto swizzle = swizzles[int(spec.swizzle)];
  const auto rank = cuuint32_t(spec.rank);
  const cuuint64_t* sizes = reinterpret_cast<const cuuint64_t*>(spec.sizes);
  const cuuint64_t* strides = reinterpret_cast<const cuuint64_t*>(spec.strides) + 1;
  void* memory = const_cast<void*>(base);
  TensorMap map;
  CUresult result;
  if (spec.im2col) {
    const auto encode =
        driver_function<decltype(&cuTensorMapEncodeIm2col)>("cuTensorMapEncodeIm2col");
    result = encode(&map.bytes, type, rank, memory, sizes, strides, spec.lower, spec.upper,
                    spec.channels, spec.pixels, spec.steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                    CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  } else {
    const auto encode =
        driver_function<decltype(&cuTensorMapEncodeTiled)>("cuTensorMapEncodeTiled");
    result = encode(&map.bytes, type, rank, memory, sizes, strides, spec.box, spec.steps,
                    CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle, CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
                    CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  }
  if (result != CUDA_SUCCESS)
    throw DeviceError("tensor map: the driver refuses it, code " + std::to_string(int(result)));
  return map;
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
/// One thread copies the box at `at` (elements, fastest axis first) to shared memory aligned to 128
/// bytes; its bytes count at the barrier.
template <int Rank>
SIMT_FN void tensor_copy(void* to, const TensorMap& map, const int (&at)[Rank], uint64_t* barrier) {
  static_assert(Rank >= 1 && Rank <= 5);
  const uint32_t s = shared_address(to), b = shared_address(barrier);
#define SIMT_TENSOR_COPY(rank) \
  "cp.async.bulk.tensor." rank "d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], "
  if constexpr (Rank == 1)
    asm volatile(SIMT_TENSOR_COPY("1") "[%1, {%3}], [%2];" ::"r"(s), "l"(&map), "r"(b), "r"(at[0])
                 : "memory");
  if constexpr (Rank == 2)
    asm volatile(SIMT_TENSOR_COPY("2") "[%1, {%3,%4}], [%2];" ::"r"(s), "l"(&map), "r"(b),
                 "r"(at[0]), "r"(at[1])
                 : "memory");
  if constexpr (Rank == 3)
    asm volatile(SIMT_TENSOR_COPY("3") "[%1, {%3,%4,%5}], [%2];" ::"r"(s), "l"(&map), "r"(b),
                 "r"(at[0]), "r"(at[1]), "r"(at[2])
                 : "memory");
  if constexpr (Rank == 4)
    asm volatile(SIMT_TENSOR_COPY("4") "[%1, {%3,%4,%5,%6}], [%2];" ::"r"(s), "l"(&map), "r"(b),
                 "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
                 : "memory");
  if constexpr (Rank == 5)
    asm volatile(SIMT_TENSOR_COPY("5") "[%1, {%3,%4,%5,%6,%7}], [%2];" ::"r"(s), "l"(&map), "r"(b),
                 "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]), "r"(at[4])
                 : "memory");
#undef SIMT_TENSOR_COPY
}

/// The same by im2col: from channel, w, h and image `at`, the first position of the filter's first
/// tap, for the tap `tap_w`, `tap_h` elements (0 to 255) from it.
SIMT_FN void tensor_copy_im2col(void* to, const TensorMap& map, const int (&at)[4], uint16_t tap_w,
                                uint16_t tap_h, uint64_t* barrier) {
  asm volatile(
      "cp.async.bulk.tensor.4d.shared::cluster.global.im2col.mbarrier::complete_tx::bytes "
      "[%0], [%1, {%3,%4,%5,%6}], [%2], {%7,%8};" ::"r"(shared_address(to)),
      "l"(&map), "r"(shared_address(barrier)), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3]),
      "h"(tap_w), "h"(tap_h)
      : "memory");
}
#endif

}  // namespace api_dev
}  // namespace apprentice::simt
