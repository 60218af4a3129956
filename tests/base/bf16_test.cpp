#include <apprentice/base/bf16.h>
#include <apprentice/base/dtype.h>
#include <catch2/catch.hpp>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace apprentice;

namespace {

uint16_t bits_of(float v) { return Bf16(v).bits; }

}  // namespace

TEST_CASE("bf16 is two plain bytes with a dtype of its own") {
  STATIC_REQUIRE(sizeof(Bf16) == 2);
  STATIC_REQUIRE(std::is_trivially_copyable_v<Bf16>);
  STATIC_REQUIRE(dtype_of<Bf16> == Dtype::bf16);
  STATIC_REQUIRE(size_t(Bf16(1.5f).bits) == 0x3fc0);
  STATIC_REQUIRE_FALSE(std::is_convertible_v<float, Bf16>);
  CHECK(size_of(dtype_of<Bf16>) == sizeof(Bf16));
}

TEST_CASE("every bf16 comes back from the float that it is") {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const Bf16 v = Bf16::of_bits(uint16_t(bits));
    const float wide = v;
    CAPTURE(bits, wide);
    if (std::bit_cast<uint32_t>(wide) != bits << 16) FAIL("not the upper half of an f32");
    // A NaN that is rounded becomes a quiet one.
    const bool is_nan = (bits & 0x7fff) > 0x7f80;
    if (Bf16(wide).bits != (is_nan ? bits | 0x40 : bits)) FAIL("lost: " << Bf16(wide).bits);
    if (is_nan != std::isnan(wide)) FAIL("NaN");
  }
}

TEST_CASE("a float between two bf16 goes to the nearer one, in a tie to the even one") {
  for (const uint32_t low : {0x3f80u, 0x3f81u, 0x0000u, 0x0001u, 0x007fu, 0x7f7eu, 0xc001u}) {
    CAPTURE(low);
    const auto between = [&](uint32_t rest) { return std::bit_cast<float>(low << 16 | rest); };
    CHECK(bits_of(between(0x0001)) == low);
    CHECK(bits_of(between(0x7fff)) == low);
    CHECK(bits_of(between(0x8000)) == low + (low & 1));
    CHECK(bits_of(between(0x8001)) == low + 1);
    CHECK(bits_of(between(0xffff)) == low + 1);
  }
}

TEST_CASE("what exceeds the largest bf16 by half a step is infinite, what is less is not") {
  constexpr float infinity = std::numeric_limits<float>::infinity();
  CHECK(float(Bf16(0x1.fe8p127f)) == 0x1.fep127f);
  CHECK(float(Bf16(0x1.fefffep127f)) == 0x1.fep127f);
  CHECK(float(Bf16(0x1.ffp127f)) == infinity);
  CHECK(float(Bf16(-std::numeric_limits<float>::max())) == -infinity);
  CHECK(float(Bf16(-infinity)) == -infinity);
}

TEST_CASE("subnormals and the sign of zero stay") {
  CHECK(float(Bf16(0x1p-133f)) == 0x1p-133f);  // the smallest
  CHECK(bits_of(0x1p-134f) == 0);              // a tie, and 0 is even
  CHECK(bits_of(0x1.8p-134f) == 1);
  CHECK(bits_of(-0.0f) == 0x8000);
  CHECK(bits_of(-0x1p-149f) == 0x8000);
}

TEST_CASE("a NaN stays a NaN of its sign, whichever bits tell so") {
  for (const uint32_t bits : {0x7f800001u, 0x7f80ffffu, 0x7fffffffu, 0x7fc00000u})
    for (const uint32_t sign : {0u, 0x80000000u}) {
      const Bf16 v(std::bit_cast<float>(bits | sign));
      CHECK(std::isnan(float(v)));
      CHECK(v.bits >> 15 == sign >> 31);
    }
}

TEST_CASE("codes of up to 8 bits are exact in bf16") {
  for (int code = -256; code <= 256; ++code) CHECK(float(Bf16(float(code))) == float(code));
}
