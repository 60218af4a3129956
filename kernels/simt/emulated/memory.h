#pragma once

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

#include <apprentice/kernels/simt/emulated/base.h>

namespace apprentice::simt {

namespace emu {
void* dynamic_shared(size_t align);
enum class Atomic { add, max, min, cas, exch };
/// T: int, unsigned, unsigned long long, float, double.
template <class T>
T atomic(Atomic kind, T* p, T v, T compare, const Site& site);

/// An integer of so many bytes that may alias anything: an access of it is one access, as on a GPU.
template <size_t Bytes>
struct Word;
template <>
struct Word<1> {
  typedef uint8_t __attribute__((may_alias)) Type;
};
template <>
struct Word<2> {
  typedef uint16_t __attribute__((may_alias)) Type;
};
template <>
struct Word<4> {
  typedef uint32_t __attribute__((may_alias)) Type;
};
template <>
struct Word<8> {
  typedef uint64_t __attribute__((may_alias)) Type;
};
template <>
struct Word<16> {
  __extension__ typedef unsigned __int128 __attribute__((may_alias)) Type;
};
}  // namespace emu

inline namespace api_emu {

template <class T, int Align = 16>
T* dynamic_shared() {
  static_assert(Align <= 16 || Align == 1024);
  return static_cast<T*>(emu::dynamic_shared(Align));
}

template <class V>
V load_as(const void* p, SIMT_SITE) {
  static_assert(std::is_trivially_copyable_v<V>);
  emu::check_aligned(p, alignof(V), site);
  const auto word = *static_cast<const typename emu::Word<sizeof(V)>::Type*>(p);
  V v;
  std::memcpy(&v, &word, sizeof v);
  return v;
}
template <class V>
void store_as(void* p, V v, SIMT_SITE) {
  static_assert(std::is_trivially_copyable_v<V>);
  emu::check_aligned(p, alignof(V), site);
  typename emu::Word<sizeof(V)>::Type word;
  std::memcpy(&word, &v, sizeof v);
  *static_cast<typename emu::Word<sizeof(V)>::Type*>(p) = word;
}

template <class T>
T atomic_add(T* p, std::type_identity_t<T> v, SIMT_SITE) {
  return emu::atomic(emu::Atomic::add, p, v, T(), site);
}
template <class T>
T atomic_max(T* p, std::type_identity_t<T> v, SIMT_SITE) {
  return emu::atomic(emu::Atomic::max, p, v, T(), site);
}
template <class T>
T atomic_min(T* p, std::type_identity_t<T> v, SIMT_SITE) {
  return emu::atomic(emu::Atomic::min, p, v, T(), site);
}
template <class T>
T atomic_cas(T* p, std::type_identity_t<T> compare, std::type_identity_t<T> v, SIMT_SITE) {
  return emu::atomic(emu::Atomic::cas, p, v, compare, site);
}
template <class T>
T atomic_exch(T* p, std::type_identity_t<T> v, SIMT_SITE) {
  return emu::atomic(emu::Atomic::exch, p, v, T(), site);
}

inline uint32_t prmt(uint32_t a, uint32_t b, uint32_t selector) {
  const uint64_t bytes = uint64_t(b) << 32 | a;
  uint32_t r = 0;
  for (int i = 0; i < 4; ++i) {
    const uint32_t pick = selector >> (4 * i) & 0xf;
    uint32_t byte = uint32_t(bytes >> (8 * (pick & 7))) & 0xff;
    if (pick & 8) byte = byte & 0x80 ? 0xff : 0;
    r |= byte << (8 * i);
  }
  return r;
}
inline int dp4a(int a, int b, int c) {
  uint32_t r = uint32_t(c);
  for (int i = 0; i < 4; ++i) r += uint32_t(int8_t(a >> (8 * i)) * int8_t(b >> (8 * i)));
  return int(r);
}
inline int dp4a_us(uint32_t a, int b, int c) {
  uint32_t r = uint32_t(c);
  for (int i = 0; i < 4; ++i) r += uint32_t(uint8_t(a >> (8 * i)) * int8_t(b >> (8 * i)));
  return int(r);
}
inline int popc(uint32_t x) { return __builtin_popcount(x); }
inline int round_to_int(float v) {
  if (std::isnan(v)) return 0;
  const float r = std::nearbyint(v);
  if (r >= 0x1p31f) return std::numeric_limits<int>::max();
  if (r < -0x1p31f) return std::numeric_limits<int>::min();
  return int(r);
}

}  // namespace api_emu
}  // namespace apprentice::simt
