#include <apprentice/base/error.h>
#include <apprentice/base/shape.h>
#include <support/throws.h>
#include <catch2/catch.hpp>

using namespace apprentice;
using test::throws;

TEST_CASE("a shape knows its sizes, their product and its text") {
  const Shape shape{2, 3, 5};
  CHECK(shape.rank() == 3);
  CHECK(shape.numel() == 30);
  CHECK(shape.str() == "[2, 3, 5]");
  CHECK(shape.size(0) == 2);
  CHECK(shape.size(-1) == 5);
  CHECK(Shape{}.numel() == 1);
  CHECK(Shape{}.str() == "[]");
  CHECK(Shape{4, 0, 2}.numel() == 0);
}

TEST_CASE("shapes are equal when rank and all sizes are") {
  CHECK(Shape{2, 3} == Shape{2, 3});
  CHECK_FALSE(Shape{2, 3} == Shape{3, 2});
  CHECK_FALSE(Shape{2} == Shape{2, 1});
  CHECK_FALSE(Shape{} == Shape{1});
}

TEST_CASE("an impossible shape or axis is a ShapeError that names it") {
  CHECK(throws<ShapeError>([] { Shape{2, -1}; }, "-1", "axis 1") == "");
  CHECK(throws<ShapeError>([] { Shape{1, 1, 1, 1, 1, 1, 1, 1, 1}; }, "8 axes") == "");
  CHECK(throws<ShapeError>([] { Shape{2, 3}.size(2); }, "[2, 3]", "axis 2") == "");
  CHECK(throws<ShapeError>([] { Shape{2, 3}.size(-3); }, "[2, 3]", "axis -3") == "");
}

TEST_CASE("broadcasting follows NumPy") {
  CHECK(broadcast({2, 3}, {2, 3}, "add") == Shape{2, 3});
  CHECK(broadcast({2, 1}, {1, 3}, "add") == Shape{2, 3});
  CHECK(broadcast({4, 2, 3}, {3}, "add") == Shape{4, 2, 3});
  CHECK(broadcast({}, {5}, "add") == Shape{5});
  CHECK(broadcast({0}, {1}, "add") == Shape{0});
  CHECK(broadcast({1, 0}, {3, 1}, "add") == Shape{3, 0});
}

TEST_CASE("shapes that do not broadcast are a ShapeError that names operation and both") {
  CHECK(throws<ShapeError>(
            [] {
              broadcast({2, 3}, {2, 4}, "mul");
            },
            "mul", "[2, 3]", "[2, 4]") == "");
  CHECK(throws<ShapeError>([] { broadcast({0}, {2}, "mul"); }, "[0]", "[2]") == "");
}
