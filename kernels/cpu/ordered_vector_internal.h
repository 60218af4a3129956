#pragma once

#include <apprentice/kernels/cpu/vector_internal.h>
#if defined(__AVX2__)
#include <apprentice/kernels/cpu/intrinsics_internal.h>
#endif

// What kernels with fixed rounding need beside vector_internal.h: fused multiply-add, half-to-even
// rounding, codes. V is Vector or, for the columns left over, float.
namespace apprentice::kernels::APPRENTICE_ISA {

typedef int32_t IntVector __attribute__((vector_size(4 * kLanes)));
typedef int32_t UnalignedIntVector __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));
typedef uint8_t ByteVector __attribute__((vector_size(kLanes)));
typedef uint8_t UnalignedByteVector __attribute__((vector_size(kLanes), aligned(1), may_alias));

/// a * b + c, rounded once.
APPRENTICE_INLINE float fused(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
APPRENTICE_INLINE float nearest(float v) { return __builtin_rintf(v); }

#if defined(__AVX512F__)
APPRENTICE_INLINE Vector broadcast(float v) { return (Vector)_mm512_set1_ps(v); }
APPRENTICE_INLINE Vector fused(Vector a, Vector b, Vector c) {
  return (Vector)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
APPRENTICE_INLINE Vector nearest(Vector v) {
  return (Vector)_mm512_roundscale_ps((__m512)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#elif defined(__AVX2__)
APPRENTICE_INLINE Vector broadcast(float v) { return (Vector)_mm256_set1_ps(v); }
APPRENTICE_INLINE Vector fused(Vector a, Vector b, Vector c) {
  return (Vector)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
}
APPRENTICE_INLINE Vector nearest(Vector v) {
  return (Vector)_mm256_round_ps((__m256)v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
#else
APPRENTICE_INLINE Vector broadcast(float v) {
  Vector all{};
  for (int64_t l = 0; l < kLanes; ++l) all[l] = v;
  return all;
}
APPRENTICE_INLINE Vector fused(Vector a, Vector b, Vector c) {
  for (int64_t l = 0; l < kLanes; ++l) c[l] = __builtin_fmaf(a[l], b[l], c[l]);
  return c;
}
APPRENTICE_INLINE Vector nearest(Vector v) {
  for (int64_t l = 0; l < kLanes; ++l) v[l] = __builtin_rintf(v[l]);
  return v;
}
#endif

/// v in every lane: a broadcast, from memory where v lies there.
template <class V>
APPRENTICE_INLINE V splat(float v) {
  if constexpr (sizeof(V) == sizeof(float)) {
    return v;
  } else {
    return broadcast(v);
  }
}
/// clamp(rint(t), 0, top) as kernels::round_to_code: NaN gives 0.
template <class V>
APPRENTICE_INLINE V to_code(V t, float top) {
  t = t > 0.0f ? t : V{};
  const V limit = splat<V>(top);
  return nearest(t < limit ? t : limit);
}

/// Accumulators and codes as f32, and codes back: overloads by the element type in memory.
template <class V>
APPRENTICE_INLINE V load_real(const float* from) {
  return load_as<V>(from);
}
template <class V>
APPRENTICE_INLINE V load_real(const int32_t* from) {
  if constexpr (sizeof(V) == sizeof(float)) {
    return float(*from);
  } else {
    return __builtin_convertvector((IntVector) * reinterpret_cast<const UnalignedIntVector*>(from),
                                   Vector);
  }
}
template <class V>
APPRENTICE_INLINE V load_real(const uint8_t* from) {
  if constexpr (sizeof(V) == sizeof(float)) {
    return float(*from);
  } else {
    const ByteVector bytes = *reinterpret_cast<const UnalignedByteVector*>(from);
    return __builtin_convertvector(__builtin_convertvector(bytes, IntVector), Vector);
  }
}
template <class V>
APPRENTICE_INLINE void store_code(float* to, V code) {
  store(to, code);
}
APPRENTICE_INLINE void store_code(uint8_t* to, float code) { *to = uint8_t(code); }
APPRENTICE_INLINE void store_code(uint8_t* to, Vector code) {
  const IntVector ints = __builtin_convertvector(code, IntVector);
  *reinterpret_cast<UnalignedByteVector*>(to) = __builtin_convertvector(ints, ByteVector);
}

}  // namespace apprentice::kernels::APPRENTICE_ISA
