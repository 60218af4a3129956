#include <catch2/catch.hpp>

#include <algorithm>
#include <array>
#include <cmath>

#include <support/allclose.h>
#include <support/fake_runtime.h>
#include <support/throws.h>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/batch_norm.h>

using namespace apprentice;
using test::allclose;
using test::throws;

namespace {

/// Codes x with steps, and the values that they stand for.
struct Problem {
  explicit Problem(const Tensor& step) : x_scale(step) {
    Rng rng(5, RngPurpose::test);
    const auto random = [&](const Shape& shape) {
      return Tensor::normal(shape, 1, 20, rng).to(Dtype::f64).clone();
    };
    codes = round(random({2, 3, 5, 3})).set_requires_grad();
    values = (codes.detach() * step).clone().set_requires_grad();
    residual_codes = round(random({2, 3, 5, 3})).set_requires_grad();
    residual_values = (residual_codes.detach() * residual_step).clone().set_requires_grad();
    upstream = random({2, 3, 5, 3});
    for (Tensor* t : {&weight, &bias, &plain_weight, &plain_bias}) t->set_requires_grad();
  }

  static Tensor vector(const std::vector<double>& v) { return Tensor::from(v, {3}); }
  BatchNormOptions coded() const {
    BatchNormOptions o{.x_scale = x_scale, .relu = true};
    o.residual = residual_codes;
    o.residual_scale = residual_step;
    return o;
  }
  BatchNormOptions plain() const {
    BatchNormOptions o{.relu = true};
    o.residual = residual_values;
    return o;
  }
  /// Gradients by codes are step times those by values; all others are the same.
  void check_gradients() {
    CHECK(allclose(codes.grad(), values.grad() * x_scale, 1e-12, 1e-12) == "");
    CHECK(allclose(residual_codes.grad(), residual_values.grad() * residual_step, 1e-12, 1e-12) ==
          "");
    CHECK(allclose(weight.grad(), plain_weight.grad(), 1e-11, 1e-12) == "");
    CHECK(allclose(bias.grad(), plain_bias.grad(), 1e-11, 1e-12) == "");
  }

  Tensor x_scale, residual_step = Tensor::full({1}, 0.25, Dtype::f64);
  Tensor codes, values, residual_codes, residual_values, upstream;
  Tensor weight = vector({0.5, 1, 2}), bias = vector({-1, 0, 1});
  Tensor plain_weight = weight.clone(), plain_bias = bias.clone();
  Tensor mean = vector({0.5, 0, -1}), var = vector({1, 2, 3});
  Tensor plain_mean = mean.clone(), plain_var = var.clone();
};

}  // namespace

// The two roads differ in rounding only: some tens of operations on values up to about 100, in f64.
TEST_CASE("normalising codes with a step is normalising the values, statistics included") {
  const Tensor step =
      GENERATE(Tensor::full({1}, 0.125, Dtype::f64), Problem::vector({0.1, 0.02, 3}));
  Problem p(step);
  const Tensor coded = batch_norm_train(p.codes, p.weight, p.bias, p.mean, p.var, p.coded());
  const Tensor plain = batch_norm_train(p.values, p.plain_weight, p.plain_bias, p.plain_mean,
                                        p.plain_var, p.plain());
  CHECK(allclose(coded, plain, 1e-12, 1e-12) == "");
  CHECK(allclose(p.mean, p.plain_mean, 1e-12, 1e-12) == "");
  CHECK(allclose(p.var, p.plain_var, 1e-12, 1e-12) == "");
  coded.backward(p.upstream);
  plain.backward(p.upstream);
  p.check_gradients();
}

TEST_CASE("so it is with given statistics, which stay as they are") {
  const Tensor step =
      GENERATE(Tensor::full({1}, 0.125, Dtype::f64), Problem::vector({0.1, 0.02, 3}));
  Problem p(step);
  const Tensor coded = batch_norm_eval(p.codes, p.weight, p.bias, p.mean, p.var, p.coded());
  const Tensor plain =
      batch_norm_eval(p.values, p.plain_weight, p.plain_bias, p.mean, p.var, p.plain());
  CHECK(allclose(coded, plain, 1e-12, 1e-12) == "");
  coded.backward(p.upstream);
  plain.backward(p.upstream);
  p.check_gradients();
  CHECK(p.mean.to_vector<double>() == std::vector<double>{0.5, 0, -1});
  CHECK(p.var.to_vector<double>() == std::vector<double>{1, 2, 3});
}

TEST_CASE("batch norm with residual and ReLU is the plain operations one after the other") {
  Problem p(Tensor::full({1}, 1, Dtype::f64));
  const Tensor fused = batch_norm_train(p.values, p.weight, p.bias, p.mean, p.var, p.plain());
  const Tensor norm = batch_norm_train(p.values, p.weight, p.bias, p.plain_mean, p.plain_var);
  CHECK(allclose(fused, relu(norm + p.residual_values), 1e-13, 1e-13) == "");
}

TEST_CASE("batch norm refuses what makes no sense") {
  const Tensor x = Tensor::zeros({1, 1, 1, 2}), c = Tensor::full({2}, 1),
               wrong = Tensor::zeros({3});
  CHECK(throws<ShapeError>([&] { batch_norm_train(x, c, c, c.clone(), c.clone()); }, "[1, 1, 1, 2]",
                           "at least 2") == "");
  CHECK(throws<ShapeError>([&] { batch_norm_eval(x, wrong, c, c, c); }, "weight", "[3]", "[2]") ==
        "");
  CHECK(throws<DtypeError>([&] { batch_norm_eval(x, c, c, c.to(Dtype::f64), c); }, "running_mean",
                           "f64") == "");
  BatchNormOptions o{.x_scale = Tensor::zeros({1})};
  CHECK(throws<Error>([&] { batch_norm_eval(x, c, c, c, c, o); }, "x_scale", "positive") == "");
  o = {.residual = wrong};
  CHECK(throws<ShapeError>([&] { batch_norm_eval(x, c, c, c, c, o); }, "residual", "[3]") == "");
  o = {.residual = x, .residual_scale = c};
  CHECK(throws<ShapeError>([&] { batch_norm_eval(x, c, c, c, c, o); }, "residual_scale", "[2]",
                           "[1]") == "");
}

TEST_CASE("batch norm refuses a step of codes on another device") {
  FakeDevices fake;
  const Tensor x = Tensor::zeros({1, 1, 1, 2}), c = Tensor::full({2}, 1);
  BatchNormOptions o{.relu = true};
  o.codes = {.step = Tensor::full({1}, 1).to(fake.device), .max_code = 3};
  CHECK(throws<DeviceError>([&] { batch_norm_eval(x, c, c, c, c, o); }, "step of codes",
                            "emulated:0", "x on cpu") == "");
}

TEST_CASE("backward of a batch norm of codes notices that its step was written to") {
  const Tensor x = Tensor::full({1, 1, 1, 2}, 1).set_requires_grad(), c = Tensor::full({2}, 1);
  BatchNormOptions o{.relu = true};
  o.codes = {.step = Tensor::full({1}, 1), .max_code = 3};
  const Tensor y = batch_norm_eval(x, c, c, c, c, o);
  o.codes.step.fill(2);
  CHECK(throws<Error>([&] { y.backward(Tensor::full(y.shape(), 1)); }, "batch_norm_eval") == "");
}

TEST_CASE("batch norm of codes is batch norm, then a quantizer, bit for bit") {
  Rng rng(17, RngPurpose::test);
  const bool with_residual = GENERATE(false, true);
  const float step = 0.02f, inverse = 1 / step, most = step * 63;
  const Tensor values = Tensor::normal({2, 5, 6, 20}, 3, 2, rng);
  const Tensor shortcut = round(Tensor::uniform({2, 5, 6, 20}, 0, 63, rng));
  const Tensor grad = Tensor::normal({2, 5, 6, 20}, 0, 1, rng);
  const auto run = [&](bool fused, Tensor& bytes) {
    Tensor x = values.clone().set_requires_grad(), r = shortcut.clone().set_requires_grad();
    Tensor weight = Tensor::full({20}, 0.4).set_requires_grad(), bias = Tensor::full({20}, 0.3);
    BatchNormOptions o{.relu = true};
    if (with_residual) o.residual = r, o.residual_scale = Tensor::full({1}, 0.01);
    if (fused) o.codes = {Tensor::full({1}, double(step)), 63, bytes};
    Tensor y = batch_norm_train(x, weight, bias, Tensor::zeros({20}), Tensor::zeros({20}), o);
    Tensor codes = y.detach().clone(), upstream = grad.clone();
    if (!fused)
      for (int64_t i = 0; i < y.numel(); ++i) {
        const float value = codes.data<float>()[i];
        const bool inside = value > 0 && value <= most;
        codes.data<float>()[i] = std::min(std::rint(value * inverse), 63.0f);
        upstream.data<float>()[i] = inside ? upstream.data<float>()[i] * inverse : 0;
      }
    y.backward(upstream);
    return std::array{codes.to_vector<float>(), x.grad().to_vector<float>(),
                      weight.grad().to_vector<float>(),
                      with_residual ? r.grad().to_vector<float>() : std::vector<float>()};
  };
  Tensor bytes = Tensor::empty(values.shape(), Dtype::u8);
  const auto fused = run(true, bytes), halves = run(false, bytes);
  for (size_t i = 0; i < fused.size(); ++i) CHECK(bool(fused[i] == halves[i]));
  CHECK(bool(bytes.to_vector<float>() == fused[0]));
}

TEST_CASE("batch norm refuses codes of f64, without a ReLU, or beyond their bytes") {
  const Tensor x = Tensor::zeros({4, 2});
  const Tensor step = Tensor::full({1}, 1), half = Tensor::full({1}, 0.5);
  const auto run = [&](const Tensor& of, const BatchNormOptions& o) {
    const Tensor v = Tensor::full({2}, 1, of.dtype());
    batch_norm_eval(of, v, v, v, v, o);
  };
  const Tensor bytes = Tensor::empty({4, 2}, Dtype::u8);
  CHECK_NOTHROW(run(x, {.relu = true, .codes = {half, 255, bytes}}));
  CHECK(throws<Error>([&] { run(x, {.codes = {half, 255}}); }, "without a ReLU") == "");
  CHECK(throws<Error>(
            [&] {
              run(x, {.relu = true, .codes = {Tensor::full({1}, -1), 255}});
            },
            "step -1") == "");
  CHECK(throws<Error>([&] { run(x, {.relu = true, .codes = {step, 256, bytes}}); }, "256") == "");
  CHECK(throws<DtypeError>(
            [&] {
              run(x.to(Dtype::f64), {.relu = true, .codes = {step, 255}});
            },
            "f64") == "");
  const Tensor few = Tensor::empty({3, 2}, Dtype::u8);
  CHECK(throws<ShapeError>(
            [&] {
              run(x, {.relu = true, .codes = {step, 255, few}});
            },
            "[3, 2]") == "");
}
