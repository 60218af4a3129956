#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <random>
#include <vector>

#include <apprentice/kernels/simt/simt.h>

/// A test case that is compiled for the emulator and for a GPU: the same name, kernels and checks.
#define KERNEL_TEST_CASE(name) TEST_CASE(name, "[kernel]")
/// The same for files *_sm90_test.inl: on a GPU, one of compute capability 9.x only.
#define KERNEL_TEST_CASE_SM90(name) TEST_CASE(name, "[kernel][sm90]")

namespace apprentice::testing {

/// n random integers of low to high, as T.
template <class T>
std::vector<T> random_integers(size_t n, int low, int high, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_int_distribution<int> distribution(low, high);
  std::vector<T> values(n);
  for (T& v : values) v = T(distribution(generator));
  return values;
}

/// Random values over the whole range of an 8-bit type.
template <class T>
std::vector<T> random_bytes(size_t n, unsigned seed) {
  return random_integers<T>(n, std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), seed);
}

}  // namespace apprentice::testing
