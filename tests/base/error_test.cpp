#include <apprentice/base/error.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::throws;

TEST_CASE("check throws the wanted class with the formatted message only when it fails") {
  CHECK_NOTHROW(check(true, "never {}", 1));
  CHECK(throws<Error>([] { check(false, "got {}, expected {}", 3, 4); }, "got 3, expected 4") ==
        "");
  CHECK(throws<ShapeError>([] { check<ShapeError>(false, "x"); }, "x") == "");
}

TEST_CASE("every error is an Error, and the file errors are IoErrors") {
  CHECK_THROWS_AS(throw ShapeError("x"), Error);
  CHECK_THROWS_AS(throw DtypeError("x"), Error);
  CHECK_THROWS_AS(throw DeviceError("x"), Error);
  CHECK_THROWS_AS(throw ConfigError("x"), Error);
  CHECK_THROWS_AS(throw CheckFailed("x"), Error);
  CHECK_THROWS_AS(throw MissingInput("x"), IoError);
  CHECK_THROWS_AS(throw DamagedFile("x"), IoError);
  CHECK_THROWS_AS(throw CannotCreate("x"), IoError);
}
