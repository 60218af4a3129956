#include <apprentice/kernels/optimizer.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using test::kEpsilon;
using test::Outputs;
using test::Random;

TEST_CASE("every sgd_update kernel gives the reference's bits") {
  const auto seed = GENERATE(range(0u, 16u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.pick({0, 1, 17, 1000, 40001});
  const bool momentum = random.flip(), nesterov = random.flip();
  const auto param = random.uniform<1>({n}), grad = random.uniform<1>({n});
  const auto velocity = random.uniform<1>({n});
  test::agree<SgdUpdate<float>>([&](Outputs& out) {
    SgdUpdate<float>::Args a;
    a.param = out.updated(param, 0), a.grad = grad;
    if (momentum) a.velocity = out.updated(velocity, 0);
    a.learning_rate = 0.1f, a.momentum = 0.9f, a.weight_decay = 0.01f, a.nesterov = nesterov;
    return a;
  });
}

TEST_CASE("two nesterov steps of one parameter follow the formula") {
  float param = 2, velocity = 0;
  const float grad = 1;
  const SgdUpdate<float>::Args args{{&param, {1}}, {&grad, {1}}, {&velocity, {1}}, 0.5f, 0.5f,
                                    0.25f,         true};
  launch<SgdUpdate<float>>(args);  // g = 1.5, v = 1.5, d = 2.25
  CHECK(param == 0.875f);
  launch<SgdUpdate<float>>(args);  // g = 1.21875, v = 1.96875, d = 2.203125
  CHECK(velocity == 1.96875f);
  CHECK(param == -0.2265625f);
}

TEST_CASE("every adam_update kernel agrees with the reference on random problems") {
  const auto seed = GENERATE(range(0u, 16u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.pick({0, 1, 17, 40001});
  const auto param = random.uniform<1>({n}), grad = random.uniform<1>({n});
  const auto first = random.uniform<1>({n}), second = random.uniform<1>({n}, 0.01f, 1);
  const bool decoupled = random.flip();
  const int64_t step = random.between(1, 1000);
  // first / (1 - beta1^step) <= 10, sqrt(second / (1 - beta2^step)) >= 0.0995, rate 0.1: the
  // quotient is at most 0.1 * 10 / 0.0995 = 10.1 with eight roundings; param itself has three.
  const double bound = 8 * kEpsilon * 10.1 + 3 * kEpsilon * 12;
  test::agree<AdamUpdate<float>>([&](Outputs& out) {
    AdamUpdate<float>::Args a;
    a.param = out.updated(param, bound), a.grad = grad;
    a.first = out.updated(first, 4 * kEpsilon), a.second = out.updated(second, 4 * kEpsilon);
    a.learning_rate = 0.1, a.weight_decay = 0.01, a.decoupled = decoupled, a.step = step;
    return a;
  });
}
