#include <cmath>
#include <vector>

#include <apprentice/base/rng.h>
#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("philox4x32 gives the known answers of Random123 for ten rounds") {
  using Words = std::array<uint32_t, 4>;
  constexpr uint32_t ones = 0xffffffffu;
  CHECK(philox4x32({0, 0, 0, 0}, {0, 0}) == Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(philox4x32({ones, ones, ones, ones}, {ones, ones}) ==
        Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
        Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream is a pure function of seed, purpose, epoch and sample") {
  const auto first = [](uint64_t seed, RngPurpose purpose, uint32_t epoch, uint64_t sample) {
    Rng rng(seed, purpose, epoch, sample);
    return std::pair(rng.bits(), rng.bits());
  };
  const auto one = first(1, RngPurpose::augment, 2, 3);
  CHECK(first(1, RngPurpose::augment, 2, 3) == one);
  CHECK(first(2, RngPurpose::augment, 2, 3) != one);
  CHECK(first(uint64_t(1) << 32 | 1, RngPurpose::augment, 2, 3) != one);
  CHECK(first(1, RngPurpose::shuffle, 2, 3) != one);
  CHECK(first(1, RngPurpose::augment, 3, 3) != one);
  CHECK(first(1, RngPurpose::augment, 2, 4) != one);
}

TEST_CASE(
    "uniform numbers from 0 to below 1 lie on the grid of 2^-24 with the mean and variance of "
    "theory") {
  Rng rng(7, RngPurpose::test);
  constexpr int n = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const float u = rng.uniform();
    if (!(u >= 0 && u < 1 && u * 0x1p24f == std::floor(u * 0x1p24f))) FAIL(u);
    sum += u;
    squares += double(u) * u;
  }
  // Five standard errors: sd 1/sqrt(12) of u, sqrt(4/45) of u^2.
  CHECK(std::abs(sum / n - 0.5) < 5 * std::sqrt(1.0 / 12 / n));
  CHECK(std::abs(squares / n - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / n));
}

TEST_CASE("normal numbers have mean 0, variance 1 and normal tails") {
  Rng rng(8, RngPurpose::test);
  constexpr int n = 100000;
  double sum = 0, squares = 0;
  int beyond_two = 0;
  for (int i = 0; i < n; ++i) {
    const double x = rng.normal();
    if (!std::isfinite(x)) FAIL(x);
    sum += x;
    squares += x * x;
    beyond_two += std::abs(x) > 2;
  }
  const double tail = std::erfc(2 / std::sqrt(2.0));
  CHECK(std::abs(sum / n) < 5 / std::sqrt(double(n)));
  CHECK(std::abs(squares / n - 1) < 5 * std::sqrt(2.0 / n));
  CHECK(std::abs(double(beyond_two) / n - tail) < 5 * std::sqrt(tail * (1 - tail) / n));
}

TEST_CASE("below(n) takes every value under n equally often") {
  const uint32_t n = GENERATE(1u, 2u, 3u, 7u, 10u);
  Rng rng(9, RngPurpose::test);
  constexpr int draws = 70000;
  std::vector<int> count(n);
  for (int i = 0; i < draws; ++i) ++count.at(rng.below(n));
  const double p = 1.0 / n;
  CAPTURE(n);
  for (int c : count) CHECK(std::abs(c - draws * p) <= 5 * std::sqrt(draws * p * (1 - p)));
}

TEST_CASE("below(n) rejects what a plain remainder would count twice") {
  // 3 * 2^30 leaves a quarter of 2^32 over: without rejection the values of one residue come twice.
  constexpr uint32_t n = 3u << 30;
  Rng rng(10, RngPurpose::test);
  constexpr int draws = 30000;
  int thirds[3] = {};
  for (int i = 0; i < draws; ++i) {
    const uint32_t value = rng.below(n);
    REQUIRE(value < n);
    ++thirds[value % 3];
  }
  for (int c : thirds) CHECK(std::abs(c - draws / 3.0) <= 5 * std::sqrt(draws * 2.0 / 9));
}
