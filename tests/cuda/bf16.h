#pragma once

#include <algorithm>
#include <cmath>
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

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

/// The same bits, but any NaN for a NaN: a GPU makes one of its own of each that it rounds.
template <class T>
bool same_numbers(const std::vector<T>& a, const std::vector<T>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](T u, T v) {
    return std::memcmp(&u, &v, sizeof(T)) == 0 || (std::isnan(float(u)) && std::isnan(float(v)));
  });
}

}  // namespace apprentice::testing
