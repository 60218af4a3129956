#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/loss.cuh>
#include <apprentice/kernels/cuda/softmax.cuh>

namespace apprentice {
namespace {

using kernels::CosineLoss;
using kernels::KlDivergence;
using kernels::SoftmaxCrossEntropy;
using kernels::SquaredError;

constexpr double kUnit = 0x1p-24;
/// Logits are -8 to 8 in steps of 1 / 8, so that differences are exact and at most kRange.
constexpr double kRange = 16;

std::vector<float> eighths(int64_t rows, int64_t n, unsigned seed) {
  auto x = testing::random_integers<float>(size_t(rows * n), -64, 64, seed);
  for (float& v : x) v /= 8;
  return x;
}

/// The error of log p, as softmax_test.inl derives it.
double log_error(int64_t n) {
  const double log_n = std::log(double(n));
  return kUnit * (2 * kRange + (2 * kRange + 4) + 4 * log_n + 2 * (kRange + log_n));
}

struct Problem {
  int64_t rows, n;
};
/// Both teams (rows of 256 or less are of a warp), their tails, and more rows than one block has.
const Problem kProblems[] = {{1, 1},   {9, 10},  {8, 31},  {3, 33},   {2, 255},
                             {1, 256}, {2, 257}, {3, 511}, {1, 1000}, {0, 5}};

struct Result {
  std::vector<float> loss, grad;
};

/// Runs the CPU's kernel and ours, which `ours` is, on a problem whose inputs `inputs(args, data of
/// each)` sets from these vectors; the last with the gradient absent.
template <class Op, class Set, class Check>
void compare(const Problem& p, const std::vector<std::vector<float>>& inputs, Set set,
             void (*ours)(const typename Op::Args&, simt::Stream), Check check) {
  const auto [rows, n] = p;
  Result expected{std::vector<float>(size_t(rows)), std::vector<float>(size_t(rows * n))};
  typename Op::Args args;
  std::vector<const float*> data;
  for (const auto& input : inputs) data.push_back(input.data());
  set(args, data);
  args.loss = {expected.loss.data(), {rows}};
  args.grad = {expected.grad.data(), {rows, n}};
  kernels::launch<Op>(args);

  std::vector<simt::Buffer<float>> buffers;
  for (const auto& input : inputs) buffers.push_back(simt::Buffer<float>::from(input));
  for (size_t i = 0; i < inputs.size(); ++i) data[i] = buffers[i].data();
  set(args, data);
  const simt::Buffer<float> loss(static_cast<size_t>(rows)), grad(expected.grad.size());
  args.loss.data = loss.data(), args.grad.data = grad.data();
  ours(args, nullptr);
  CAPTURE(rows, n);
  const Result got{loss.values(), grad.values()};
  check(got, expected);
  args.grad = {};
  const simt::Buffer<float> again(loss.size());
  args.loss.data = again.data();
  ours(args, nullptr);
  CHECK(again.values() == got.loss);
}

template <class Bound>
void check_close(const char* what, const std::vector<float>& got,
                 const std::vector<float>& expected, Bound bound) {
  for (size_t i = 0; i < got.size(); ++i)
    if (!(std::abs(double(got[i]) - double(expected[i])) <= bound(i)))
      FAIL(what << " " << i << ": got " << got[i] << ", expected " << expected[i]);
}

}  // namespace

KERNEL_TEST_CASE("the cross-entropy of labels and its gradient are those of the CPU") {
  for (const Problem& p : kProblems)
    for (const double smoothing : {0.0, 0.1}) {
      const auto [rows, n] = p;
      const double temperature = 2;
      const auto labels = testing::random_integers<int64_t>(size_t(rows), 0, int(n) - 1, 5);
      const auto device_labels = simt::Buffer<int64_t>::from(labels);
      const std::vector<std::vector<float>> inputs{eighths(rows, n, 1)};
      compare<SoftmaxCrossEntropy<float>>(
          p, inputs,
          [&](auto& args, const auto& data) {
            args.logits = {data[0], {rows, n}};
            args.labels = {data[0] == inputs[0].data() ? labels.data() : device_labels.data(),
                           {rows}};
            args.smoothing = smoothing, args.temperature = temperature;
          },
          kernels::SIMT_NS::softmax_cross_entropy,
          [&](const Result& got, const Result& expected) {
            // Targets sum to 1 and are rounded, as the CPU's result is.
            check_close("loss", got.loss, expected.loss, [&](size_t) {
              return log_error(n) + 2 * kUnit * (kRange + std::log(double(n)));
            });
            // p and t are at most 1; each step after log p rounds by a unit, exp by two.
            check_close("gradient", got.grad, expected.grad,
                        [&](size_t) { return (log_error(n) + 7 * kUnit) / temperature; });
          });
    }
}

KERNEL_TEST_CASE("the cross-entropy of probabilities and its gradient are those of the CPU") {
  for (const Problem& p : kProblems) {
    const auto [rows, n] = p;
    // Their mass is not 1; every third is zero.
    auto targets = testing::random_integers<float>(size_t(rows * n), 1, 4, 6);
    for (size_t i = 0; i < targets.size(); ++i)
      targets[i] = i % 3 == 2 ? 0 : targets[i] / float(2 * n);
    const std::vector<std::vector<float>> inputs{eighths(rows, n, 2), targets};
    compare<SoftmaxCrossEntropy<float>>(
        p, inputs,
        [&](auto& args, const auto& data) {
          args.logits = {data[0], {rows, n}};
          args.targets = {data[1], {rows, n}};
        },
        kernels::SIMT_NS::softmax_cross_entropy,
        [&](const Result& got, const Result& expected) {
          // As for labels, of a mass of at most 2.
          check_close("loss", got.loss, expected.loss, [&](size_t) {
            return 2 * (log_error(n) + 2 * kUnit * (kRange + std::log(double(n))));
          });
          check_close("gradient", got.grad, expected.grad,
                      [&](size_t) { return 2 * (log_error(n) + 7 * kUnit); });
        });
  }
}

KERNEL_TEST_CASE(
    "the cross-entropy of a teacher's logits is that of its probabilities, bit for bit") {
  for (const Problem& p : kProblems) {
    const auto [rows, n] = p;
    const auto device = [](const std::vector<float>& values) {
      return simt::Buffer<float>::from(values);
    };
    const auto logits = device(eighths(rows, n, 7)), teacher = device(eighths(rows, n, 8));
    const simt::Buffer<float> probabilities(size_t(rows * n)), grad(size_t(rows * n)),
        loss(static_cast<size_t>(rows));
    const double temperature = 3;
    kernels::SIMT_NS::softmax(
        {{teacher.data(), {rows, n}}, {probabilities.data(), {rows, n}}, temperature, false},
        nullptr);
    SoftmaxCrossEntropy<float>::Args args;
    args.logits = {logits.data(), {rows, n}};
    args.loss = {loss.data(), {rows}}, args.grad = {grad.data(), {rows, n}};
    args.temperature = temperature;
    args.targets = {probabilities.data(), {rows, n}};
    kernels::SIMT_NS::softmax_cross_entropy(args, nullptr);
    const Result of_probabilities{loss.values(), grad.values()};
    args.targets = {}, args.teacher = {teacher.data(), {rows, n}};
    kernels::SIMT_NS::softmax_cross_entropy(args, nullptr);
    CAPTURE(rows, n);
    CHECK(loss.values() == of_probabilities.loss);
    CHECK(grad.values() == of_probabilities.grad);
  }
}

KERNEL_TEST_CASE("a target of zero takes nothing from a logit of minus infinity") {
  const auto logits =
      simt::Buffer<float>::from(std::vector<float>{0, -std::numeric_limits<float>::infinity(), 0});
  const auto targets = simt::Buffer<float>::from(std::vector<float>{0.5f, 0, 0.5f});
  const simt::Buffer<float> loss(1);
  SoftmaxCrossEntropy<float>::Args args;
  args.logits = {logits.data(), {1, 3}};
  args.targets = {targets.data(), {1, 3}};
  args.loss = {loss.data(), {1}};
  args.grad = {logits.data(), {1, 3}};  // the gradient may replace the logits
  kernels::SIMT_NS::softmax_cross_entropy(args, nullptr);
  CHECK(loss.values()[0] == Approx(std::log(2.0)).epsilon(4 * kUnit));
  CHECK(logits.values() == std::vector<float>{0, 0, 0});
}

KERNEL_TEST_CASE("the divergence of two rows of logits and its gradient are those of the CPU") {
  for (const Problem& p : kProblems) {
    const auto [rows, n] = p;
    const double temperature = 4;
    compare<KlDivergence<float>>(
        p, {eighths(rows, n, 3), eighths(rows, n, 4)},
        [&](auto& args, const auto& data) {
          args.student = {data[0], {rows, n}};
          args.teacher = {data[1], {rows, n}};
          args.temperature = temperature;
        },
        kernels::SIMT_NS::kl_divergence,
        [&](const Result& got, const Result& expected) {
          // Two logarithms, and t, whose relative error multiplies their difference.
          const double span = kRange + std::log(double(n));
          check_close("loss", got.loss, expected.loss,
                      [&](size_t) { return 2 * log_error(n) + span * (log_error(n) + 4 * kUnit); });
          check_close("gradient", got.grad, expected.grad,
                      [&](size_t) { return 2 * (log_error(n) + 5 * kUnit) / temperature; });
        });
  }
}

KERNEL_TEST_CASE("the divergence of equal rows is zero, and so is its gradient") {
  const auto x = simt::Buffer<float>::from(eighths(1, 300, 7));
  const simt::Buffer<float> loss(1), grad(300);
  KlDivergence<float>::Args args;
  args.student = args.teacher = {x.data(), {1, 300}};
  args.loss = {loss.data(), {1}};
  args.grad = {grad.data(), {1, 300}};
  kernels::SIMT_NS::kl_divergence(args, nullptr);
  CHECK(loss.values()[0] == 0);
  CHECK(grad.values() == std::vector<float>(300, 0));
}

KERNEL_TEST_CASE("the cosine loss and its gradient are those of the CPU") {
  for (const Problem& p : kProblems) {
    const auto [rows, n] = p;
    auto x = eighths(rows, n, 8);
    std::fill_n(x.begin(), std::min<size_t>(x.size(), size_t(n)), 0.0f);  // the first row is zero
    const auto target = eighths(rows, n, 9);
    compare<CosineLoss<float>>(
        p, {x, target},
        [&](auto& args, const auto& data) {
          args.x = {data[0], {rows, n}};
          args.target = {data[1], {rows, n}};
        },
        kernels::SIMT_NS::cosine_loss,
        [&](const Result& got, const Result& expected) {
          // Eighths make the sums exact; everything else is in double, rounded last here and there.
          check_close("loss", got.loss, expected.loss, [&](size_t) { return 4 * kUnit; });
          check_close("gradient", got.grad, expected.grad, [&](size_t i) {
            return 4 * kUnit * std::abs(double(expected.grad[i])) + 1e-12;
          });
        });
  }
}

KERNEL_TEST_CASE("squared errors and their gradients are those of the CPU, bit for bit") {
  for (const Problem& p : kProblems) {
    const auto [rows, n] = p;
    compare<SquaredError<float>>(
        p, {eighths(rows, n, 10), eighths(rows, n, 11)},
        [&](auto& args, const auto& data) {
          args.x = {data[0], {rows, n}};
          args.target = {data[1], {rows, n}};
        },
        kernels::SIMT_NS::squared_error,
        [&](const Result& got, const Result& expected) {
          CHECK(got.loss == expected.loss);  // eighths: the sums are exact in any order
          CHECK(got.grad == expected.grad);
        });
  }
}

}  // namespace apprentice
