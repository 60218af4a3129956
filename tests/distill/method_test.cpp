#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/ops/softmax.h>
#include <apprentice/distill/method.h>
#include <apprentice/nn/optimizer.h>

#include "distill/tiny.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

namespace {

struct Problem {
  Recipe recipe;
  std::shared_ptr<nn::TensorModule> student = std::make_shared<OneLayer>(1);
  std::shared_ptr<nn::TensorModule> teacher = std::make_shared<OneLayer>(2);
  data::Batch batch = colours_batch(12);

  explicit Problem(const std::string& scheme) {
    recipe.distill.method = "apprentice";
    recipe.distill.scheme = scheme;
  }
  std::unique_ptr<Method> method = nullptr;
  /// Of a method made anew, which lives until the next.
  StepResult step() {
    method = make_method({recipe, student, teacher, nullptr});
    return run_step(*method, batch);
  }
  void step_and_backward() {
    StepResult result = step();
    run_backward(result);
  }
};

/// Row-wise softmax(z / t) in double.
std::vector<double> softmax_of(const Tensor& logits, double t) {
  const int64_t classes = logits.size(1);
  const std::vector<float> z = logits.to_vector<float>();
  std::vector<double> p(z.size());
  for (size_t row = 0; row < z.size(); row += size_t(classes)) {
    double sum = 0;
    for (size_t i = row; i < row + size_t(classes); ++i) sum += p[i] = std::exp(z[i] / t);
    for (size_t i = row; i < row + size_t(classes); ++i) p[i] /= sum;
  }
  return p;
}

double hard_loss(const Tensor& logits, const Tensor& labels) {
  const std::vector<double> p = softmax_of(logits, 1);
  const auto y = labels.to_vector<int64_t>();
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i)
    sum -= std::log(p[i * size_t(logits.size(1)) + size_t(y[i])]);
  return sum / double(y.size());
}

double soft_loss(const Tensor& teacher, const Tensor& student, double t) {
  const std::vector<double> p = softmax_of(teacher, t), q = softmax_of(student, t);
  double sum = 0;
  for (size_t i = 0; i < p.size(); ++i) sum -= p[i] * std::log(q[i]);
  return t * t * sum / double(teacher.size(0));
}

double norm(const Tensor& x) {
  double sum = 0;
  for (const float v : x.to_vector<float>()) sum += double(v) * double(v);
  return std::sqrt(sum);
}

bool has_gradient(const nn::Module& network) {
  for (const auto& [name, p] : network.named_parameters())
    if (p.grad().defined() && norm(p.grad()) > 0) return true;
  return false;
}

}  // namespace

TEST_CASE("the loss terms are those of the Apprentice formula, each with its weight") {
  const double t = GENERATE(1.0, 4.0);
  Problem a("A");
  a.recipe.distill.alpha = 0.75;
  a.recipe.distill.beta = 0.3;
  a.recipe.distill.gamma = 0.7;
  a.recipe.distill.temperature = t;
  const Tensor zs = a.student->forward(a.batch.x), zt = a.teacher->forward(a.batch.x);
  const double expected[] = {hard_loss(zt, a.batch.labels), hard_loss(zs, a.batch.labels),
                             soft_loss(zt, zs, t)};
  const double weights[] = {0.75, 0.3, 0.7};
  const StepResult result = a.step();

  REQUIRE(result.terms.size() == 3);
  double total = 0;
  // f32 logsumexp over 10 classes and a mean of 12 rows: a few dozen roundings of values below 20.
  const double bound = 64 * 1.2e-7 * 20;
  for (size_t i = 0; i < 3; ++i) {
    CAPTURE(i, t, result.terms[i].name);
    CHECK(std::abs(result.terms[i].value.item() - expected[i]) < bound * t * t);
    CHECK(result.terms[i].weight == weights[i]);
    total += weights[i] * expected[i];
  }
  CHECK(std::abs(result.loss.item() - total) < 3 * bound * t * t);
  CHECK(result.terms[0].name == "teacher");
  CHECK(result.terms[1].name == "label");
  CHECK(result.terms[2].name == "distill");
}

TEST_CASE("schemes B and C have no teacher term, a control run none but the label's") {
  Problem b(GENERATE("B", "C"));
  StepResult result = b.step();
  REQUIRE(result.terms.size() == 2);
  CHECK(result.terms[0].name == "label");
  CHECK(result.terms[1].name == "distill");

  b.recipe.distill.control = true;
  b.teacher = nullptr;
  result = b.step();
  REQUIRE(result.terms.size() == 1);
  CHECK(result.terms[0].weight == 0.5);
  CHECK(result.loss.item() == 0.5f * float(result.terms[0].value.item()));
}

TEST_CASE("the distillation term alone moves the apprentice, and leaves the teacher as it was") {
  Problem b("B");
  b.recipe.distill.beta = 0;
  const std::string teacher_before = state_hash(*b.teacher),
                    student_before = state_hash(*b.student);
  const auto method = make_method({b.recipe, b.student, b.teacher, nullptr});
  StepResult result = run_step(*method, b.batch);
  run_backward(result);
  CHECK(has_gradient(*b.student));
  CHECK_FALSE(has_gradient(*b.teacher));
  nn::Sgd sgd({{.parameters = b.student->named_parameters()}}, {});
  sgd.step(0.1f);
  CHECK(state_hash(*b.student) != student_before);
  CHECK(state_hash(*b.teacher) == teacher_before);
  CHECK(method->trained().size() == 1);
}

TEST_CASE("a frozen teacher's batch norm statistics do not move") {
  Problem b("B");
  b.teacher = narrow()("resnet8", 10, 3);
  const std::string before = state_hash(*b.teacher);
  b.step_and_backward();
  CHECK(state_hash(*b.teacher) == before);
  // In training mode the same forward would have moved them.
  b.teacher->train();
  b.teacher->forward(b.batch.x);
  CHECK(state_hash(*b.teacher) != before);
}

TEST_CASE("scheme A with detached logits trains the teacher as if it were alone") {
  Problem a("A");
  a.student = narrow()("resnet8", 10, 1);
  a.teacher = narrow()("resnet14", 10, 1);
  const auto alone = narrow()("resnet14", 10, 1);
  REQUIRE(same_state(*alone, *a.teacher));
  Recipe plain;

  const auto train_steps = [&](const MethodSetup& setup, nn::Module& network) {
    const auto method = make_method(setup);
    nn::Sgd sgd({{.parameters = network.named_parameters(), .weight_decay = 1e-4f}},
                {.momentum = 0.9f});
    for (int i = 0; i < 3; ++i) {
      StepResult result = run_step(*method, a.batch);
      run_backward(result);
      sgd.step(0.1f);
      sgd.zero_grad();
    }
  };
  train_steps({a.recipe, a.student, a.teacher, nullptr}, *a.teacher);
  train_steps({plain, alone, nullptr, nullptr}, *alone);
  CHECK(same_state(*alone, *a.teacher));

  a.recipe.distill.teacher_receives_distill_grad = true;
  train_steps({a.recipe, a.student, a.teacher, nullptr}, *a.teacher);
  train_steps({plain, alone, nullptr, nullptr}, *alone);
  CHECK_FALSE(same_state(*alone, *a.teacher));
}

TEST_CASE("the gradient into a teacher that receives it is that of the soft cross-entropy") {
  Problem a("A");
  a.recipe.distill.alpha = a.recipe.distill.beta = 0;
  a.recipe.distill.gamma = 1;
  a.recipe.distill.teacher_receives_distill_grad = true;
  a.step_and_backward();
  // d/dz_T = p_T (l - <p_T, l>) / n with l = -log p_S; the bias of the last layer sums it over
  // rows.
  const std::vector<double> pt = softmax_of(a.teacher->forward(a.batch.x), 1);
  const std::vector<double> ps = softmax_of(a.student->forward(a.batch.x), 1);
  std::vector<double> expected(10, 0.0);
  for (size_t row = 0; row < 12; ++row) {
    double mean = 0;
    for (size_t c = 0; c < 10; ++c) mean -= pt[row * 10 + c] * std::log(ps[row * 10 + c]);
    for (size_t c = 0; c < 10; ++c)
      expected[c] += pt[row * 10 + c] * (-std::log(ps[row * 10 + c]) - mean) / 12;
  }
  Tensor bias;
  for (auto& [name, p] : a.teacher->named_parameters())
    if (name == "linear.bias") bias = p;
  const auto got = bias.grad().to_vector<float>();
  for (size_t c = 0; c < 10; ++c) {
    CAPTURE(c);
    // Sums of 12 rows of terms below 20, each of some ten f32 roundings.
    CHECK(std::abs(double(got[c]) - expected[c]) < 12 * 10 * 1.2e-7 * 20);
  }
}

TEST_CASE(
    "gradients of scheme A, brought through cut logits, are those of one graph, bit for bit") {
  Problem a("A");
  a.recipe.distill.teacher_receives_distill_grad = GENERATE(false, true);
  a.student = narrow()("resnet8", 10, 1);
  a.teacher = narrow()("resnet14", 10, 2);
  const auto gradients = [&] {
    std::vector<float> all;
    for (const auto& network : {a.student, a.teacher})
      for (auto& [name, p] : network->named_parameters()) {
        for (const float v : p.grad().to_vector<float>()) all.push_back(v);
        p.set_grad({});
      }
    return all;
  };
  a.step_and_backward();
  const std::vector<float> cut = gradients();

  const Tensor zt = a.teacher->forward(a.batch.x), zs = a.student->forward(a.batch.x);
  const Tensor distill = a.recipe.distill.teacher_receives_distill_grad
                             ? -mean(sum(softmax(zt, 1) * log_softmax(zs, 1), 1))
                             : soft_cross_entropy(zs, softmax(zt.detach(), 1), 1);
  const Tensor loss =
      cross_entropy(zt, a.batch.labels) + cross_entropy(zs, a.batch.labels) * 0.5 + distill * 0.5;
  loss.backward();
  CHECK(bool(cut == gradients()));
}

TEST_CASE("what a step makes ahead is the frozen teacher's logits alone") {
  Problem b("B"), a("A");
  b.step();
  const std::vector<Tensor> ahead = b.method->ahead(b.batch);
  REQUIRE(ahead.size() == 1);
  CHECK_FALSE(ahead[0].requires_grad());
  CHECK(same_bits(ahead[0], b.teacher->forward(b.batch.x).detach()));
  b.recipe.distill.gamma = 0;
  b.step();
  CHECK(b.method->ahead(b.batch).empty());
  a.step();
  CHECK(a.method->ahead(a.batch).empty());
}

TEST_CASE("plain training is the cross-entropy against the labels, smoothed if asked") {
  Problem p("C");
  p.recipe.distill.method = "none";
  const double plain = hard_loss(p.student->forward(p.batch.x), p.batch.labels);
  StepResult result = p.step();
  CHECK(std::abs(result.loss.item() - plain) < 64 * 1.2e-7 * 20);
  REQUIRE(result.terms.size() == 1);
  CHECK(result.terms[0].name == "label");
  p.recipe.train.label_smoothing = 0.1;
  CHECK(std::abs(p.step().loss.item() - plain) > 1e-3);
}

TEST_CASE("a method without the teacher that it needs says so") {
  Problem a("A"), b("B");
  a.teacher = b.teacher = nullptr;
  CHECK(throws<ConfigError>([&] { a.step(); }, "scheme A", "teacher") == "");
  CHECK(throws<ConfigError>([&] { b.step(); }, "scheme B", "teacher") == "");
}
