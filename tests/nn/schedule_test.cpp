#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/nn/schedule.h>

using namespace apprentice;
using nn::make_schedule;

TEST_CASE("the step schedule falls at its milestones") {
  const auto at = make_schedule("step", {.milestones = {0.5, 0.75}, .gamma = 0.1});
  CHECK(at(49, 100) == 1);
  CHECK(at(50, 100) == 0.1);
  CHECK(at(74, 100) == 0.1);
  CHECK(at(75, 100) == 0.1 * 0.1);
  CHECK(at(99, 100) == 0.1 * 0.1);
}

TEST_CASE("the cosine schedule falls from 1 to its last factor") {
  const auto at = make_schedule("cosine");
  CHECK(at(0, 40) == 1);
  CHECK(at(10, 40) == Approx((1 + std::sqrt(0.5)) / 2).epsilon(1e-12));
  CHECK(at(20, 40) == Approx(0.5).epsilon(1e-12));
  CHECK(at(40, 40) == Approx(0).margin(1e-12));
  for (int64_t step = 1; step < 40; ++step) CHECK(at(step, 40) < at(step - 1, 40));
  CHECK(make_schedule("cosine", {.last = 0.25})(40, 40) == Approx(0.25).epsilon(1e-12));
}

TEST_CASE("the linear and the constant schedule") {
  CHECK(make_schedule("linear")(3, 4) == 0.25);
  CHECK(make_schedule("linear", {.last = 0.5})(1, 2) == 0.75);
  CHECK(make_schedule("constant")(7, 8) == 1);
}

TEST_CASE("warm-up rises to where the schedule starts, which then runs over the rest") {
  const auto at = make_schedule("linear", {.warmup_steps = 4});
  CHECK(at(0, 14) == Approx(0.2));
  CHECK(at(3, 14) == Approx(0.8));
  CHECK(at(4, 14) == 1);
  CHECK(at(9, 14) == 0.5);
  CHECK(make_schedule("linear", {.warmup_steps = 4})(1, 3) == Approx(0.4));
}

TEST_CASE("schedules refuse what makes no sense") {
  CHECK_THROWS_WITH(make_schedule("cosin"), Catch::Matchers::Contains("did you mean 'cosine'"));
  CHECK_THROWS_AS(make_schedule("step", {.milestones = {0.7, 0.3}}), ConfigError);
  CHECK_THROWS_AS(make_schedule("step", {.milestones = {1.5}}), ConfigError);
  CHECK_THROWS_AS(make_schedule("step", {.gamma = 0}), ConfigError);
  CHECK_THROWS_AS(make_schedule("cosine", {.last = -1}), ConfigError);
  CHECK_THROWS_AS(make_schedule("constant", {.warmup_steps = -1}), ConfigError);
}

TEST_CASE("a schedule added from outside is found by name") {
  nn::schedules().add(
      "half", [](const nn::ScheduleOptions&) { return [](int64_t, int64_t) { return 0.5; }; });
  CHECK(make_schedule("half")(0, 1) == 0.5);
}
