#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace apprentice {

/// Dense row-major memory of R axes that somebody else owns: what kernels take. `data` null:
/// absent. Device code sees it too.
template <class T, int R>
struct View {
  T* data = nullptr;
  std::array<int64_t, R> sizes{};

  constexpr int64_t size(int axis) const { return sizes[size_t(axis)]; }
  constexpr int64_t numel() const {
    int64_t n = 1;
    for (int axis = 0; axis < R; ++axis) n *= sizes[size_t(axis)];
    return n;
  }
  constexpr explicit operator bool() const { return data != nullptr; }

  /// Element at one index an axis; no bounds check.
  template <class... I>
  constexpr T& operator()(I... index) const {
    static_assert(sizeof...(I) == R);
    int64_t offset = 0;
    int axis = 0;
    ((offset = offset * sizes[size_t(axis++)] + int64_t(index)), ...);
    return data[offset];
  }

  template <class U = T>
  requires(!std::is_const_v<U>) constexpr operator View<const U, R>() const {
    return {data, sizes};
  }
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
