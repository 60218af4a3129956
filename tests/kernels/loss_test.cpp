#include <apprentice/kernels/loss.h>

#include <apprentice/kernels/softmax.h>

#include "kernels/agreement.h"

using namespace apprentice;
using namespace apprentice::kernels;
using Catch::Matchers::WithinAbs;
using test::Random;

namespace {

/// Central difference of the loss of row 0 by element j of x, in double.
template <class Loss>
double slope(std::vector<double> x, size_t j, Loss loss) {
  const double h = 1e-5, at = x[j];
  x[j] = at + h;
  const double above = loss(x);
  x[j] = at - h;
  return (above - loss(x)) / (2 * h);
}

std::vector<double> doubles(Random& random, int64_t n, float low, float high) {
  const auto view = random.uniform<1>({n}, low, high);
  return {view.data, view.data + n};
}

/// Third derivatives are at most about 30 here: a central difference errs by 30 h^2 / 6, and by
/// 1e-15 / h from rounding.
constexpr double kSlopeBound = 30 * 1e-10 / 6 + 1e-10;

}  // namespace

TEST_CASE("softmax of extreme rows stays finite and sums to one") {
  load_dense_units();
  const float x[] = {1000, 1000, -1000, -1000, -1000, -1000};
  std::vector<float> y(6);
  launch<Softmax<float>>({{x, {2, 3}}, {y.data(), {2, 3}}, 1, false});
  CHECK(y == std::vector<float>{0.5f, 0.5f, 0, float(1.0 / 3), float(1.0 / 3), float(1.0 / 3)});
  launch<Softmax<float>>({{x, {2, 3}}, {y.data(), {2, 3}}, 1, true});
  CHECK(y[2] == -2000 - float(std::log(2.0)));
}

TEST_CASE("softmax_cross_entropy's gradient is the slope of its loss, hard and soft") {
  const auto seed = GENERATE(range(0u, 8u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t classes = random.between(2, 7);
  const auto x = doubles(random, classes, -3, 3);
  const auto soft = doubles(random, classes, 0, 1);
  const int64_t label = random.below(classes);
  const bool hard = random.flip();
  std::vector<double> grad(x.size());
  const auto loss = [&](const std::vector<double>& logits) {
    double value = 0;
    SoftmaxCrossEntropy<double>::Args a;
    a.logits = {logits.data(), {1, classes}}, a.loss = {&value, {1}};
    a.grad = {grad.data(), {1, classes}};
    a.smoothing = 0.1, a.temperature = 2;
    if (hard) a.labels = {&label, {1}};
    if (!hard) a.targets = {soft.data(), {1, classes}};
    launch<SoftmaxCrossEntropy<double>>(a);
    return value;
  };
  for (size_t j = 0; j < x.size(); ++j) {
    const double expected = slope(x, j, loss);
    loss(x);
    CHECK_THAT(grad[j], WithinAbs(expected, kSlopeBound));
  }
}

TEMPLATE_TEST_CASE("cross-entropy with a teacher's logits is that with its softmax, bit for bit",
                   "", float, double) {
  Random random(11);
  const int64_t n = 7;
  std::vector<TestType> x, teacher, soft(size_t(2 * n));
  for (const double v : doubles(random, 2 * n, -3, 3)) x.push_back(TestType(v));
  for (const double v : doubles(random, 2 * n, -9, 9)) teacher.push_back(TestType(v));
  launch<Softmax<TestType>>({{teacher.data(), {2, n}}, {soft.data(), {2, n}}, 3, false});
  const auto run = [&](bool logits) {
    std::vector<TestType> loss(2), grad(size_t(2 * n));
    typename SoftmaxCrossEntropy<TestType>::Args a;
    a.logits = {x.data(), {2, n}}, a.loss = {loss.data(), {2}}, a.grad = {grad.data(), {2, n}};
    a.temperature = 3;
    if (logits) a.teacher = {teacher.data(), {2, n}};
    if (!logits) a.targets = {soft.data(), {2, n}};
    launch<SoftmaxCrossEntropy<TestType>>(a);
    loss.insert(loss.end(), grad.begin(), grad.end());
    return loss;
  };
  CHECK(run(true) == run(false));
}

TEST_CASE(
    "the gradients of kl_divergence, cosine_loss and squared_error are slopes of their losses") {
  const auto seed = GENERATE(range(0u, 8u));
  CAPTURE(seed);
  Random random(seed);
  const int64_t n = random.between(2, 7);
  const auto x = doubles(random, n, 0.5f, 2), target = doubles(random, n, 0.5f, 2);
  std::vector<double> grad(x.size());
  const View2<const double> t{target.data(), {1, n}};
  const View2<double> g{grad.data(), {1, n}};
  const auto which = GENERATE(0, 1, 2);
  const auto loss = [&](const std::vector<double>& at) {
    double value = 0;
    const View2<const double> v{at.data(), {1, n}};
    if (which == 0) launch<KlDivergence<double>>({v, t, 4, {&value, {1}}, g});
    if (which == 1) launch<CosineLoss<double>>({v, t, {&value, {1}}, g});
    if (which == 2) launch<SquaredError<double>>({v, t, {&value, {1}}, g});
    return value;
  };
  for (size_t j = 0; j < x.size(); ++j) {
    const double expected = slope(x, j, loss);
    loss(x);
    CAPTURE(which, j);
    CHECK_THAT(grad[j], WithinAbs(expected, kSlopeBound));
  }
}

TEST_CASE("kl_divergence of equal logits and cosine_loss of parallel rows are zero") {
  const double x[] = {1, 2, 3}, twice[] = {2, 4, 6};
  double value = 1;
  launch<KlDivergence<double>>({{x, {1, 3}}, {x, {1, 3}}, 1, {&value, {1}}, {}});
  CHECK(value == 0);
  launch<CosineLoss<double>>({{x, {1, 3}}, {twice, {1, 3}}, {&value, {1}}, {}});
  CHECK_THAT(value, WithinAbs(0, 4 * 0x1p-52));
}
