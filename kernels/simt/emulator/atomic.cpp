#include <algorithm>
#include <type_traits>

#include <apprentice/kernels/simt/emulated/memory.h>
#include <apprentice/kernels/simt/emulator/checker_internal.h>
#include <apprentice/kernels/simt/emulator/report_internal.h>

namespace apprentice::simt::emu {

namespace {

template <class T>
T combined(Atomic kind, T old, T v, T compare) {
  switch (kind) {
    case Atomic::add:
      if constexpr (std::is_integral_v<T>) {
        return T(std::make_unsigned_t<T>(old) + std::make_unsigned_t<T>(v));
      } else {
        return old + v;
      }
    case Atomic::max:
      return std::max(old, v);
    case Atomic::min:
      return std::min(old, v);
    case Atomic::cas:
      return old == compare ? v : old;
    default:
      return v;
  }
}

}  // namespace

template <class T>
T atomic(Atomic kind, T* p, T v, T compare, const Site& site) {
  check_aligned(p, sizeof(T), site);
  if (checker) checker->access(*self(), p, sizeof(T), Access::atomic, place_of(site), true);
  T old;
  __atomic_load(p, &old, __ATOMIC_RELAXED);
  for (;;) {  // blocks may run on several OS threads
    T next = combined(kind, old, v, compare);
    if (__atomic_compare_exchange(p, &old, &next, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
      return old;
  }
}
template int atomic(Atomic, int*, int, int, const Site&);
template unsigned atomic(Atomic, unsigned*, unsigned, unsigned, const Site&);
template unsigned long long atomic(Atomic, unsigned long long*, unsigned long long,
                                   unsigned long long, const Site&);
template float atomic(Atomic, float*, float, float, const Site&);
template double atomic(Atomic, double*, double, double, const Site&);

}  // namespace apprentice::simt::emu
