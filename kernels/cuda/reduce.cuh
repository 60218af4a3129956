#pragma once

#include <limits>

#include <apprentice/kernels/reduce.h>
#include <apprentice/kernels/cuda/reduce_axis_internal.cuh>

namespace apprentice::kernels::SIMT_NS {

struct LargestKind {
  using State = float;
  SIMT_FN static State empty() { return -std::numeric_limits<float>::infinity(); }
  SIMT_FN static State of(float v, int64_t) { return v; }
  SIMT_FN static State combine(State a, State b) { return a > b || a != a ? a : b; }
};
struct LargestTarget {
  float* y;
  SIMT_FN void store(float largest, int64_t at) const { y[at] = largest; }
};

/// The number in the upper half, as bits in the order of numbers with NaN last, and the complement
/// of its place in the lower: the largest state is the first of the largest numbers.
struct FirstLargestKind {
  using State = unsigned long long;
  SIMT_FN static State empty() { return 0; }
  SIMT_FN static State of(float v, int64_t at) {
    const uint32_t bits = __builtin_bit_cast(uint32_t, v + 0.0f);  // -0 is 0
    const uint32_t ordered = v != v ? ~0u : bits >> 31 ? ~bits : bits | 1u << 31;
    return State(ordered) << 32 | uint32_t(~at);
  }
  SIMT_FN static State combine(State a, State b) { return a > b ? a : b; }
};
struct PlaceTarget {
  int64_t* y;
  SIMT_FN void store(unsigned long long first, int64_t at) const { y[at] = uint32_t(~first); }
};

template <class T>
void reduce(const typename Reduce<T>::Args& args, void* scratch, simt::Stream stream) {
  if (args.kind == ReduceKind::max) {
    reduce_as<LargestKind>(args.x, LargestTarget{args.y.data}, scratch, stream);
  } else {
    const double divisor = args.kind == ReduceKind::mean ? double(args.x.size(1)) : 1;
    reduce_as<SumKind>(args.x, SumTarget{args.y.data, divisor}, scratch, stream);
  }
}

inline void argmax(const ArgMax<float>::Args& args, void* scratch, simt::Stream stream) {
  reduce_as<FirstLargestKind>(args.x, PlaceTarget{args.y.data}, scratch, stream);
}

}  // namespace apprentice::kernels::SIMT_NS
