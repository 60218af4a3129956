#pragma once

namespace apprentice::kernels {

/// A number of an operation's arguments: its value or, where it lies in the memory that the kernel
/// works on, its address there, so that no host has to know it.
template <class T>
struct Number {
  T value = 0;
  const T* at = nullptr;

  constexpr Number() = default;
  constexpr Number(T v) : value(v) {}
  static constexpr Number in(const T* address) {
    Number n;
    n.at = address;
    return n;
  }
  /// For kernels.
  constexpr T get() const { return at ? *at : value; }
};

}  // namespace apprentice::kernels
