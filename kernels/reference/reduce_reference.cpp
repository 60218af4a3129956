#include <algorithm>
#include <cmath>
#include <limits>

#include <apprentice/base/unit.h>
#include <apprentice/kernels/reduce.h>
#include <apprentice/kernels/reference/reference_internal.h>

namespace apprentice::kernels {
namespace {

/// Does `v` beat the largest so far? A NaN beats numbers, nothing beats a NaN.
template <class T>
bool beats(T v, T top) {
  return v > top || (std::isnan(v) && !std::isnan(top));
}

template <class T>
void reduce(const typename Reduce<T>::Args& a) {
  using C = compute_of<T>;
  const int64_t axis = a.x.size(1);
  for (int64_t o = 0; o < a.y.size(0); ++o)
    for (int64_t i = 0; i < a.y.size(1); ++i) {
      C top = -std::numeric_limits<C>::infinity();
      double sum = 0;
      for (int64_t k = 0; k < axis; ++k) {
        const C v = a.x(o, k, i);
        sum += double(v);
        if (beats(v, top)) top = v;
      }
      if (a.kind == ReduceKind::mean) sum /= double(axis);
      a.y(o, i) = a.kind == ReduceKind::max ? top : C(sum);
    }
}

template <class T>
void argmax(const typename ArgMax<T>::Args& a) {
  for (int64_t o = 0; o < a.y.size(0); ++o)
    for (int64_t i = 0; i < a.y.size(1); ++i) {
      int64_t at = 0;
      for (int64_t k = 1; k < a.x.size(1); ++k)
        if (beats(a.x(o, k, i), a.x(o, at, i))) at = k;
      a.y(o, i) = at;
    }
}

template <class T>
void scatter_axis(const typename ScatterAxis<T>::Args& a) {
  std::fill_n(a.x.data, a.x.numel(), T(0));
  for (int64_t o = 0; o < a.y.size(0); ++o)
    for (int64_t i = 0; i < a.y.size(1); ++i) a.x(o, a.at(o, i), i) = a.y(o, i);
}

template <class T>
void add_all() {
  add_reference<Reduce<T>>(reduce<T>);
  add_reference<ArgMax<T>>(argmax<T>);
  add_reference<ScatterAxis<T>>(scatter_axis<T>);
}

}  // namespace
}  // namespace apprentice::kernels

APPRENTICE_UNIT(reduce_reference) {
  using namespace apprentice::kernels;
  add_all<float>();
  add_all<double>();
  add_reference<Reduce<apprentice::Bf16>>(reduce<apprentice::Bf16>);
}
