#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/distill/metrics.h>

#include "distill/tiny.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

TEST_CASE("a row counts as right if the first of its largest logits stands at the label") {
  const Tensor logits = Tensor::from<float>({1, 3, 2, 5, 5, 0, 0, 0, 0}, {3, 3});
  CHECK(correct_count(logits, Tensor::from<int64_t>({1, 0, 0}, {3})).item() == 3);
  CHECK(correct_count(logits, Tensor::from<int64_t>({0, 1, 2}, {3})).item() == 0);
  CHECK(throws<ShapeError>([&] { correct_count(logits, Tensor::from<int64_t>({0}, {1})); },
                           "[3, 3]") == "");
}

TEST_CASE("an evaluation does not depend on the batch size and leaves the mode as it was") {
  const auto set = colours("test", 30);
  OneLayer network(1);
  network.train();
  int64_t seen = 0;
  EvaluateOptions by_seven;
  by_seven.batch = 7;
  by_seven.on_batch = [&](const data::Batch& batch, const Tensor& logits, int64_t done) {
    CHECK(logits.size(0) == batch.size());
    CHECK_FALSE(network.training());
    CHECK_FALSE(logits.requires_grad());
    return seen = done, true;
  };
  const Metrics a = evaluate(network, *set), b = evaluate(network, *set, by_seven);
  CHECK(network.training());
  CHECK(seen == 30);
  CHECK(a.images == 30);
  CHECK(a.correct == b.correct);
  CHECK(a.top1 == 100.0 * double(a.correct) / 30);
  // Sums of 30 f32 losses below 20, added in another order.
  CHECK(std::abs(a.loss - b.loss) < 30 * 1.2e-7 * 20);

  by_seven.on_batch = [](const data::Batch&, const Tensor&, int64_t) { return false; };
  CHECK(evaluate(network, *set, by_seven).images == 7);
  EvaluateOptions first_ten;
  first_ten.images = 10;
  CHECK(evaluate(network, *set, first_ten).images == 10);
}

TEST_CASE("a set that lies elsewhere, or another one, is no resident set of an evaluation") {
  const auto set = colours("test", 30);
  OneLayer network(1);
  const data::ResidentSet resident(set, Device{}), other(colours("test", 30), Device{});
  EvaluateOptions options;
  options.resident = &resident;
  CHECK(evaluate(network, *set, options).correct == evaluate(network, *set).correct);
  options.resident = &other;
  CHECK(throws<Error>([&] { evaluate(network, *set, options); }, "the resident set is") == "");
}
