#pragma once

#include <cstdint>

// Vectors of the instruction set that the including *_simd.cpp is compiled for. All of it is
// inlined.
namespace apprentice::kernels::APPRENTICE_ISA {

#if defined(__AVX512F__)
inline constexpr int64_t kLanes = 16;
#elif defined(__AVX2__)
inline constexpr int64_t kLanes = 8;
#else
inline constexpr int64_t kLanes = 4;
#endif

#define APPRENTICE_INLINE __attribute__((always_inline)) static inline
#define APPRENTICE_INLINE_MEMBER __attribute__((always_inline)) inline

typedef float Vector __attribute__((vector_size(4 * kLanes)));
typedef float UnalignedVector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

APPRENTICE_INLINE Vector load(const float* from) {
  return *reinterpret_cast<const UnalignedVector*>(from);
}
APPRENTICE_INLINE void store(float* to, Vector v) { *reinterpret_cast<UnalignedVector*>(to) = v; }
/// Also for single numbers, so that one body serves vectors and the columns left over.
APPRENTICE_INLINE void store(float* to, float v) { *to = v; }
/// Integers 0 to 255 as bytes.
APPRENTICE_INLINE void store_bytes(unsigned char* to, Vector v) {
  typedef int32_t Integers __attribute__((vector_size(4 * kLanes)));
  typedef unsigned char Bytes __attribute__((vector_size(kLanes)));
  typedef unsigned char UnalignedBytes __attribute__((vector_size(kLanes), aligned(1), may_alias));
  const Bytes bytes = __builtin_convertvector(__builtin_convertvector(v, Integers), Bytes);
  *reinterpret_cast<UnalignedBytes*>(to) = bytes;
}
APPRENTICE_INLINE void store_bytes(unsigned char* to, float v) {
  *to = static_cast<unsigned char>(static_cast<int32_t>(v));
}
template <class V>
APPRENTICE_INLINE V load_as(const float* from) {
  if constexpr (sizeof(V) == sizeof(float)) {
    return *from;
  } else {
    return load(from);
  }
}
/// v where `by` > 0, else 0; 0 where `by` is NaN.
template <class V>
APPRENTICE_INLINE V where_positive(V by, V v) {
  return by > 0.0f ? v : V{};
}
/// The larger of v and 0; NaN stays.
template <class V>
APPRENTICE_INLINE V relu(V v) {
  return v < 0.0f ? V{} : v;
}

}  // namespace apprentice::kernels::APPRENTICE_ISA
