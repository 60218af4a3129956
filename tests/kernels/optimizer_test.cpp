#include <apprentice/kernels/optimizer.h>

#include <algorithm>
#include <deque>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::kEpsilon;
using test::Outputs;
using test::Random;

namespace {

/// Lists of parameters that arguments point to.
template <class Step>
using Lists = std::deque<std::vector<typename Step::Parameter>>;

}  // namespace

TEST_CASE("every sgd_step kernel gives the reference's bits for every parameter of a list") {
  const auto seed = GENERATE(range(0u, 16u));
  CAPTURE(seed);
  Random random(seed);
  const bool nesterov = random.flip(), skipped = random.below(4) == 0;
  struct Parameter {
    View1<const float> param, grad, velocity;
    bool momentum;
    double lr_scale;
  };
  std::vector<Parameter> parameters;
  for (int64_t i = random.between(0, 5); i > 0; --i) {
    const int64_t n = random.pick({0, 1, 17, 1000, 40001});
    parameters.push_back({random.uniform<1>({n}), random.uniform<1>({n}), random.uniform<1>({n}),
                          random.flip(), double(random.between(1, 3)) / 3});
  }
  const double learning_rate = 0.1;
  const int64_t count = skipped;
  Lists<SgdStep<float>> lists;
  test::agree<SgdStep<float>>([&](Outputs& out) {
    auto& list = lists.emplace_back();
    for (const Parameter& p : parameters) {
      list.push_back({out.updated(p.param, 0), p.grad, {}, p.lr_scale, 0.01f});
      if (p.momentum) list.back().velocity = out.updated(p.velocity, 0);
    }
    return SgdStep<float>::Args{list, {&learning_rate, {1}}, 0.9f, nesterov, {&count, {1}}};
  });
}

TEST_CASE("two nesterov steps of one parameter follow the formula, and a third is skipped") {
  float param = 2, velocity = 0;
  const float grad = 1;
  const double learning_rate = 1;
  int64_t bad = 0;
  const SgdStep<float>::Parameter list[] = {
      {{&param, {1}}, {&grad, {1}}, {&velocity, {1}}, 0.5, 0.25f}};
  const SgdStep<float>::Args args{list, {&learning_rate, {1}}, 0.5f, true, {&bad, {1}}};
  launch<SgdStep<float>>(args);  // g = 1.5, v = 1.5, d = 2.25
  CHECK(param == 0.875f);
  launch<SgdStep<float>>(args);  // g = 1.21875, v = 1.96875, d = 2.203125
  CHECK(velocity == 1.96875f);
  CHECK(param == -0.2265625f);
  bad = 1;
  launch<SgdStep<float>>(args);
  CHECK(velocity == 1.96875f);
  CHECK(param == -0.2265625f);
}

TEST_CASE("every adam_step kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 16u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.pick({0, 1, 17, 40001});
  const auto param = random.uniform<1>({n}), grad = random.uniform<1>({n});
  const auto first = random.uniform<1>({n}), second = random.uniform<1>({n}, 0.01f, 1);
  const bool decoupled = random.flip();
  const AdamNumbers numbers = adam_numbers(0.1, 0.9, 0.999, random.between(1, 1000));
  // first / (1 - beta1^step) <= 10, sqrt(second / (1 - beta2^step)) >= 0.0995, rate 0.1: the
  // quotient is at most 0.1 * 10 / 0.0995 = 10.1 with eight roundings; param itself has three.
  const double bound = 8 * kEpsilon * 10.1 + 3 * kEpsilon * 12;
  Lists<AdamStep<float>> lists;
  test::agree<AdamStep<float>>([&](Outputs& out) {
    auto& list = lists.emplace_back();
    for (const double lr_scale : {1.0, 0.5})
      list.push_back({out.updated(param, bound), grad, out.updated(first, 4 * kEpsilon),
                      out.updated(second, 4 * kEpsilon), lr_scale, 0.01});
    AdamStep<float>::Args a{list, {numbers.data(), {3}}};
    a.decoupled = decoupled;
    return a;
  });
}

TEST_CASE("a step bounds and quantizes what it has moved, as a pass of its own would") {
  const bool skipped = GENERATE(false, true);
  const std::string family = GENERATE("reference", "");
  CAPTURE(family, skipped);
  using Rule = QuantizeWeights::Rule;
  constexpr int64_t kRows = 3, kLength = 21;
  Random random(1);
  const auto start = random.uniform<2>({kRows, kLength}),
             grad = random.uniform<2>({kRows, kLength});
  const double learning_rate = 0.5;
  const int64_t count = skipped;
  for (const auto& [rule, factor] :
       {std::pair(Rule::mean, 0.7), std::pair(Rule::max, 0.05), std::pair(Rule::uniform, 7.0)}) {
    struct Made {
      std::vector<float> w, codes, scale;
      std::vector<int64_t> counts;
      QuantizeWeights::Weight weight;
    };
    const auto make = [&, rule = rule, factor = factor] {
      const auto n = size_t(start.numel());
      Made made{{start.data, start.data + n},
                std::vector<float>(n, 1),
                std::vector<float>(kRows),
                std::vector<int64_t>(3),
                {}};
      made.weight = {{made.w.data(), start.sizes},
                     {made.codes.data(), start.sizes},
                     rule,
                     factor,
                     {made.scale.data(), {kRows}},
                     {&made.counts[0], {1}},
                     {&made.counts[1], {2}}};
      return made;
    };
    Made fused = make(), apart = make();
    const auto parameter = [&](Made& made, float bound, const QuantizeWeights::Weight* codes) {
      SgdStep<float>::Parameter p{
          {made.w.data(), {start.numel()}}, {grad.data, {start.numel()}}, {}};
      p.bound = bound, p.codes = codes;
      return p;
    };
    const auto step = [&](const SgdStep<float>::Parameter& p) {
      const SgdStep<float>::Args args{{&p, 1}, {&learning_rate, {1}}, 0, false, {&count, {1}}};
      kernel_table<SgdStep<float>>().select(args, {family}).run(args, {});
    };
    step(parameter(fused, 0.75f, &fused.weight));
    step(parameter(apart, std::numeric_limits<float>::infinity(), nullptr));
    if (!skipped)
      for (float& w : apart.w) w = std::clamp(w, -0.75f, 0.75f);
    launch<QuantizeWeights>({{&apart.weight, 1}});
    CHECK(fused.w == apart.w);
    CHECK(fused.codes == apart.codes);
    CHECK(fused.scale == apart.scale);
    CHECK(fused.counts == apart.counts);
    CHECK((fused.w == std::vector<float>(start.data, start.data + start.numel())) == skipped);
  }
}
