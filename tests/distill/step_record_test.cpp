#include <catch2/catch.hpp>

#include <apprentice/distill/step_record_internal.h>

using namespace apprentice;
using namespace apprentice::distill;

namespace {

StepResult result_of(double loss, const std::string& term = "label") {
  return {Tensor::full({}, loss), {{term, Tensor::full({}, loss / 2), 1}}, Tensor::full({}, 3)};
}

}  // namespace

TEST_CASE("a record of steps takes 256 of them and gives back their numbers in order") {
  StepRecord record;
  for (int64_t i = 0; i < 256; ++i) {
    REQUIRE(record.fits(result_of(1)));
    record.add(10 + i, result_of(double(i)), 4);
  }
  CHECK_FALSE(record.fits(result_of(1)));
  const std::vector<StepValues> steps = record.take();
  REQUIRE(steps.size() == 256);
  for (size_t i = 0; i < steps.size(); ++i) {
    CAPTURE(i);
    CHECK(steps[i].step == 10 + int64_t(i));
    CHECK(steps[i].loss == double(i));
    CHECK(steps[i].correct == 3);
    CHECK(steps[i].images == 4);
    CHECK(steps[i].terms == std::vector<std::pair<std::string, double>>{{"label", double(i) / 2}});
  }
  CHECK(record.fits(result_of(1)));
  CHECK(record.take().empty());
}

TEST_CASE("steps of other terms do not fit among those of a record") {
  StepRecord record;
  record.add(0, result_of(1), 4);
  CHECK(record.fits(result_of(2)));
  CHECK_FALSE(record.fits(result_of(2, "distill")));
}
