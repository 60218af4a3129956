#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace apprentice {

/// Dense row-major memory of R axes that somebody else owns: what kernels take. `data` null:
/// absent.
template <class T, int R>
struct View {
  T* data = nullptr;
  std::array<int64_t, R> sizes{};

  int64_t size(int axis) const { return sizes[size_t(axis)]; }
  int64_t numel() const {
    int64_t n = 1;
    for (int64_t s : sizes) n *= s;
    return n;
  }
  explicit operator bool() const { return data != nullptr; }

  /// Element at one index an axis; no bounds check.
  template <class... I>
  T& operator()(I... index) const {
    static_assert(sizeof...(I) == R);
    int64_t offset = 0;
    int axis = 0;
    ((offset = offset * sizes[size_t(axis++)] + int64_t(index)), ...);
    return data[offset];
  }

  operator View<const T, R>() const requires(!std::is_const_v<T>) { return {data, sizes}; }
};

template <class T>
using View1 = View<T, 1>;
template <class T>
using View2 = View<T, 2>;
template <class T>
using View3 = View<T, 3>;
template <class T>
using View4 = View<T, 4>;

}  // namespace apprentice
