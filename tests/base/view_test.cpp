#include <vector>

#include <apprentice/base/view.h>
#include <catch2/catch.hpp>

using namespace apprentice;

TEST_CASE("a view indexes row-major memory") {
  std::vector<int> memory(24);
  for (int i = 0; i < 24; ++i) memory[size_t(i)] = i;
  const View3<int> view{memory.data(), {2, 3, 4}};
  CHECK(view.numel() == 24);
  CHECK(view(0, 0, 0) == 0);
  CHECK(view(0, 0, 3) == 3);
  CHECK(view(0, 1, 0) == 4);
  CHECK(view(1, 2, 3) == 23);
  view(1, 0, 0) = -1;
  CHECK(memory[12] == -1);
}

TEST_CASE("a view of const is made from a view, and an empty view is false") {
  float value = 3;
  const View1<float> view{&value, {1}};
  const View1<const float> reading = view;
  CHECK(reading(0) == 3);
  CHECK(bool(reading));
  CHECK_FALSE(bool(View2<float>{}));
}
