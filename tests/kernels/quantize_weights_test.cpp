#include <apprentice/kernels/quantize_weights.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using Rule = QuantizeWeights::Rule;

TEST_CASE("quantize_weights gives codes, scales and counts of every weight of a list") {
  // mean|w| 0.5 and threshold 0.35; max|w| 2 and threshold 1; rint(7 w) within 7.
  const std::vector<float> a{0.25f, -1, 0.75f, 0, 0, 0, 0, 0}, b{2, 1, -1.5f, 0.5f};
  const std::vector<float> c{0.5f, -3, 0.0625f, -0.25f};
  std::vector<float> a_codes(8, 1), b_codes{1, 0, 1, 0}, c_codes{-2, -7, 1, 0};
  float a_scale[2], b_scale, c_scale;
  int64_t zeros[] = {100, 100, 100}, flips[][2] = {{100, 10}, {100, 10}, {100, 10}};
  const QuantizeWeights::Weight weights[] = {{{a.data(), {2, 4}},
                                              {a_codes.data(), {2, 4}},
                                              Rule::mean,
                                              0.7,
                                              {a_scale, {2}},
                                              {&zeros[0], {1}},
                                              {flips[0], {2}}},
                                             {{b.data(), {1, 4}},
                                              {b_codes.data(), {1, 4}},
                                              Rule::max,
                                              0.5,
                                              {&b_scale, {1}},
                                              {&zeros[1], {1}},
                                              {flips[1], {2}}},
                                             {{c.data(), {1, 4}},
                                              {c_codes.data(), {1, 4}},
                                              Rule::uniform,
                                              7,
                                              {&c_scale, {1}},
                                              {&zeros[2], {1}},
                                              {flips[2], {2}}}};
  launch<QuantizeWeights>({weights});
  CHECK(a_codes == std::vector<float>{0, -1, 1, 0, 0, 0, 0, 0});
  CHECK(b_codes == std::vector<float>{1, 0, -1, 0});
  CHECK(c_codes == std::vector<float>{4, -7, 0, -2});  // 3.5 to even, -21 clamped, 0.4375, -1.75
  CHECK(a_scale[0] == 0.875f);
  CHECK(a_scale[1] == 1);
  CHECK(b_scale == 1.75f);
  CHECK(c_scale == 1.0f / 7);
  CHECK(std::vector<int64_t>(zeros, zeros + 3) == std::vector<int64_t>{106, 102, 101});
  CHECK(std::vector<int64_t>{flips[0][0], flips[1][0], flips[2][0]} ==
        std::vector<int64_t>{107, 101, 103});
  CHECK(std::vector<int64_t>{flips[0][1], flips[1][1], flips[2][1]} ==
        std::vector<int64_t>{18, 14, 14});
}

TEST_CASE("every quantize_weights kernel gives the reference's bits") {
  const auto seed = GENERATE(range(0u, 12u));
  CAPTURE(seed);
  test::Random random(seed);
  struct Problem {
    View2<const float> w, before;
    Rule rule;
    double factor;
  };
  std::vector<Problem> problems;
  for (int64_t i = random.between(1, 4); i > 0; --i) {
    const std::array<int64_t, 2> sizes{random.pick({0, 1, 3, 16}), random.pick({1, 9, 144, 40001})};
    const auto rule = Rule(random.below(3));
    problems.push_back({random.uniform(sizes, -1.5f, 1.5f), random.integers(sizes, -1, 1), rule,
                        rule == Rule::uniform ? double(random.pick({1, 3, 7})) : 0.7});
  }
  std::deque<std::vector<QuantizeWeights::Weight>> lists;
  std::deque<std::vector<int64_t>> counts;
  test::agree<QuantizeWeights>([&](test::Outputs& out) {
    auto& list = lists.emplace_back();
    auto& count = counts.emplace_back(3 * problems.size(), 5);
    for (size_t i = 0; i < problems.size(); ++i) {
      const Problem& p = problems[i];
      list.push_back({p.w, out.updated(p.before, 0), p.rule, p.factor});
      list.back().scale = out.view<1>({p.w.size(0)}, 0);
      list.back().zeros = {&count[3 * i], {1}};
      if (i % 2 == 0) list.back().flips = {&count[3 * i + 1], {2}};
    }
    return QuantizeWeights::Args{list};
  });
  for (const auto& count : counts) CHECK(count == counts.front());
}
