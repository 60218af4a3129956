#pragma once

#include <apprentice/base/bf16.h>
#include <apprentice/kernels/simt/simt.h>

// Neighbouring elements of f32 or bf16 tensors (and of codes in u8, which are only written) as the
// floats that kernels compute in, in one access of memory where the address allows it.
namespace apprentice::kernels::SIMT_NS {

/// N neighbours.
template <int N>
struct Neighbours {
  float v[N];
};

/// What N elements of T are in memory.
template <class T, int N>
struct Word {};
template <>
struct Word<float, 4> {
  using Type = simt::F32x4;
};
template <>
struct Word<float, 2> {
  using Type = simt::F32x2;
};
template <>
struct Word<Bf16, 4> {
  using Type = simt::U32x2;
};
template <>
struct Word<Bf16, 2> {
  using Type = uint32_t;
};
template <>
struct Word<uint8_t, 2> {
  using Type = uint16_t;
};

/// Does p lie where N elements are one access? Of an absent tensor, yes.
template <int N, class T>
SIMT_HD bool is_aligned_for(const T* p) {
  return reinterpret_cast<uintptr_t>(p) % (N * sizeof(T)) == 0;
}

SIMT_FN Neighbours<4> unpacked(simt::F32x4 word) { return {word.x, word.y, word.z, word.w}; }
SIMT_FN Neighbours<2> unpacked(simt::F32x2 word) { return {word.x, word.y}; }
SIMT_FN Neighbours<2> unpacked(uint32_t word) {
  return {Bf16::of_bits(uint16_t(word)), Bf16::of_bits(uint16_t(word >> 16))};
}
/// Two elements as their word.
SIMT_FN simt::F32x2 word_of(float low, float high) { return {low, high}; }
SIMT_FN uint32_t word_of(Bf16 low, Bf16 high) { return low.bits | uint32_t(high.bits) << 16; }

SIMT_FN Neighbours<4> unpacked(simt::U32x2 words) {
  const auto low = unpacked(words.x), high = unpacked(words.y);
  return {low.v[0], low.v[1], high.v[0], high.v[1]};
}

SIMT_FN uint32_t packed_bf16(float low, float high) {
  return uint32_t(Bf16(low).bits) | uint32_t(Bf16(high).bits) << 16;
}
SIMT_FN void pack(simt::F32x4& word, const Neighbours<4>& n) {
  word = {n.v[0], n.v[1], n.v[2], n.v[3]};
}
SIMT_FN void pack(simt::F32x2& word, const Neighbours<2>& n) { word = {n.v[0], n.v[1]}; }
SIMT_FN void pack(uint32_t& word, const Neighbours<2>& n) { word = packed_bf16(n.v[0], n.v[1]); }
SIMT_FN void pack(simt::U32x2& words, const Neighbours<4>& n) {
  words = {packed_bf16(n.v[0], n.v[1]), packed_bf16(n.v[2], n.v[3])};
}
SIMT_FN void pack(uint16_t& word, const Neighbours<2>& n) {
  word = uint16_t(uint32_t(n.v[0]) | uint32_t(n.v[1]) << 8);
}

/// p[0], ..., p[N - 1], p being aligned for them.
template <int N, class T>
SIMT_FN Neighbours<N> load_word(const T* p) {
  return unpacked(simt::load_as<typename Word<T, N>::Type>(p));
}
template <int N, class T>
SIMT_FN void store_word(T* p, const Neighbours<N>& n) {
  typename Word<T, N>::Type word;
  pack(word, n);
  simt::store_as(p, word);
}

/// How a thread reaches two neighbours, p being where the first of them lies. What it loads stays
/// packed until the numbers are wanted, so that nothing waits for one load before the next.
struct PairAccess {
  bool words;  ///< in one access; both are there then
  bool both;   ///< the second is there

  template <class T>
  SIMT_FN typename Word<T, 2>::Type load(const T* p) const {
    if (words) return simt::load_as<typename Word<T, 2>::Type>(p);
    return word_of(p[0], both ? p[1] : T(0));
  }
  template <class T>
  SIMT_FN void store(T* p, const Neighbours<2>& n) const {
    if (words) return store_word(p, n);
    p[0] = T(n.v[0]);
    if (both) p[1] = T(n.v[1]);
  }
};

}  // namespace apprentice::kernels::SIMT_NS
