#pragma once

#include <apprentice/kernels/simt/device/base.h>

namespace apprentice::simt {
inline namespace api_dev {

/// The dynamic shared memory of the launch, aligned to Align (16 or 1024). Two symbols: an array
/// aligned to 1024 bytes would pad the static shared memory of every kernel of its file.
template <class T, int Align = 16>
SIMT_FN T* dynamic_shared() {
  static_assert(Align <= 16 || Align == 1024);
  if constexpr (Align == 1024) {
    extern __shared__ __align__(1024) unsigned char simt_dynamic_shared_1024[];
    return reinterpret_cast<T*>(simt_dynamic_shared_1024);
  } else {
    extern __shared__ __align__(16) unsigned char simt_dynamic_shared_16[];
    return reinterpret_cast<T*>(simt_dynamic_shared_16);
  }
}

/// One access of sizeof(V) bytes at an address aligned for V, whatever type lies there.
template <class V>
SIMT_FN V load_as(const void* p) {
  return *reinterpret_cast<const V*>(p);
}
template <class V>
SIMT_FN void store_as(void* p, V v) {
  *reinterpret_cast<V*>(p) = v;
}

// Each returns the value before; T is int, unsigned, unsigned long long or float (float: add,
// exch).
template <class T>
SIMT_FN T atomic_add(T* p, T v) {
  return atomicAdd(p, v);
}
template <class T>
SIMT_FN T atomic_max(T* p, T v) {
  return atomicMax(p, v);
}
template <class T>
SIMT_FN T atomic_min(T* p, T v) {
  return atomicMin(p, v);
}
template <class T>
SIMT_FN T atomic_cas(T* p, T compare, T v) {
  return atomicCAS(p, compare, v);
}
template <class T>
SIMT_FN T atomic_exch(T* p, T v) {
  return atomicExch(p, v);
}

/// Byte i of the result is byte (selector >> 4i & 7) of b:a, or its sign if bit 3 is set there too.
SIMT_FN uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector) {
  uint32_t r;
  asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(selector));
  return r;
}
/// c + the sum of four products of signed bytes.
SIMT_FN int dp4a(int a, int b, int c) { return __dp4a(a, b, c); }
/// c + the sum of four products of unsigned bytes of a and signed bytes of b.
SIMT_FN int dp4a_us(uint32_t a, int b, int c) {
  int r;
  asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c));
  return r;
}
SIMT_FN int popc(uint32_t x) { return __popc(x); }
/// The nearest integer, ties to even; saturates, and a NaN gives 0.
SIMT_FN int round_to_int(float v) { return __float2int_rn(v); }

}  // namespace api_dev
}  // namespace apprentice::simt
