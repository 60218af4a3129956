#include <catch2/catch.hpp>
#include <vector>

#include <apprentice/kernels/dense/plans/timed_choice_internal.h>

using namespace apprentice::kernels::dense;

namespace {

/// Candidates with given times, the first run of each of which takes longer; counts runs.
struct Candidates {
  std::vector<double> times;
  double first_run = 0;
  std::vector<int> runs = std::vector<int>(times.size(), 0);

  std::optional<size_t> choose() {
    return fastest(times.size(), [&](size_t i, int in_a_row) {
      const double time = times[i] + (runs[i] == 0 ? first_run : 0) / in_a_row;
      runs[i] += in_a_row;
      return time;
    });
  }
};

}  // namespace

TEST_CASE("the fastest candidate is chosen, the first among equals, whatever first runs cost") {
  CHECK(Candidates{{3, 1, 2}}.choose() == 1u);
  CHECK(Candidates{{2, 1, 1}}.choose() == 1u);
  CHECK(Candidates{{5}}.choose() == 0u);
  CHECK(Candidates{{3, 2, 1}, 100}.choose() == 2u);
}

TEST_CASE("candidates that cannot run are passed over, and none is chosen if none can") {
  CHECK(Candidates{{kNever, 4, kNever, 3}}.choose() == 3u);
  CHECK(!Candidates{{kNever, kNever}}.choose());
  CHECK(!Candidates{{}}.choose());
}

TEST_CASE(
    "a candidate that is far slower than the best is timed once only, one that cannot run never") {
  Candidates candidates{{1, 100, 2, kNever}};
  CHECK(candidates.choose() == 0u);
  CHECK(candidates.runs == std::vector<int>{13, 5, 13, 1});
}
