#pragma once

#include <cstring>
#include <vector>

#include <apprentice/base/bf16.h>

// Kernels of bf16 tensors give what their f32 kernels give of the same numbers, rounded: what a
// test of that needs.
namespace apprentice::testing {

/// Numbers as elements of T hold them.
template <class T>
std::vector<T> stored(const std::vector<float>& numbers) {
  std::vector<T> elements;
  for (const float v : numbers) elements.push_back(T(v));
  return elements;
}

template <class T>
std::vector<float> widened(const std::vector<T>& elements) {
  return {elements.begin(), elements.end()};
}

/// Equal, NaNs included.
template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

}  // namespace apprentice::testing
