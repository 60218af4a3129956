#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/kernels/codes.h>

#include "lowbit_problem.h"
#include "support/throws.h"

namespace apprentice {

using kernels::PackedCodes;
using test::throws;

TEST_CASE("codes are packed low bits first, two's complement, a row padded to a byte", "[codes]") {
  const std::vector<int8_t> ternary = {1, -1, 0, 1, -1, 0, 1, 1, 0, 0};
  std::vector<uint8_t> bytes(4, 0xff);
  kernels::pack_codes<2>({ternary.data(), {2, 5}}, bytes.data());
  // Row 0: 1, -1, 0, 1 | -1: 01 + 11<<2 + 00<<4 + 01<<6 = 0x4d, then 0x03.
  CHECK(bytes == std::vector<uint8_t>{0x4d, 0x03, 0x14, 0x00});
  const std::vector<int8_t> int4 = {7, -8, -1};
  kernels::pack_codes<4>({int4.data(), {1, 3}}, bytes.data());
  CHECK(bytes[0] == 0x87);
  CHECK(bytes[1] == 0x0f);
}

TEMPLATE_TEST_CASE_SIG("codes of every width read back as they were packed", "[codes]",
                       ((int Bits), Bits), 2, 4) {
  for (int64_t cols = 0; cols <= 17; ++cols) {
    Rng rng = test::problem_rng(uint64_t(cols));
    const test::RandomCodes<Bits> random(rng, 3, cols);
    std::vector<int8_t> back(random.codes.size(), 55);
    kernels::unpack_codes(random.packed, View2<int8_t>{back.data(), {3, cols}});
    CHECK(back == random.codes);
    CHECK_NOTHROW(kernels::check_codes(random.packed, "w"));
  }
}

TEST_CASE("a code that does not fit is refused with its place", "[codes]") {
  std::vector<int8_t> codes = {0, 1, -1, 2};
  uint8_t byte = 0;
  CHECK(throws<Error>(
            [&] {
              kernels::pack_codes<2>({codes.data(), {1, 4}}, &byte);
            },
            "code 2", "row 0", "column 3", "[-1, 1]") == "");
  codes[3] = -9;
  std::vector<uint8_t> bytes(2);
  CHECK(throws<Error>(
            [&] {
              kernels::pack_codes<4>({codes.data(), {1, 4}}, bytes.data());
            },
            "code -9", "[-8, 7]") == "");
}

TEST_CASE("the invalid ternary pattern and stray bits of a file are damage", "[codes]") {
  std::vector<uint8_t> bytes = {0x00, 0x08};  // row 1: code -2 in column 1
  CHECK(throws<DamagedFile>(
            [&] {
              kernels::check_codes(PackedCodes<2>{bytes.data(), 2, 3}, "conv.weight_packed");
            },
            "conv.weight_packed", "code -2", "row 1", "column 1") == "");
  bytes = {0x00, 0x40};  // row 1: a bit behind the third code
  CHECK(throws<DamagedFile>(
            [&] {
              kernels::check_codes(PackedCodes<2>{bytes.data(), 2, 3}, "w");
            },
            "row 1", "behind its 3 codes") == "");
  bytes = {0x88, 0x08};
  CHECK_NOTHROW(kernels::check_codes(PackedCodes<4>{bytes.data(), 2, 2}, "w"));
  CHECK(throws<DamagedFile>(
            [&] {
              kernels::check_codes(PackedCodes<4>{bytes.data(), 2, 1}, "w");
            },
            "row 0", "behind its 1 codes") == "");
}

}  // namespace apprentice
