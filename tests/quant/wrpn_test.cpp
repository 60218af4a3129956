#include <catch2/catch.hpp>

#include <cmath>
#include <set>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <quant/quant_problems.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

/// -1.5, ..., 1.5 in steps of 1/1024, exact in f32.
Tensor ramp(float low, float high) {
  std::vector<float> values;
  for (float v = low; v <= high; v += 0x1p-10f) values.push_back(v);
  return Tensor::from(values, {int64_t(values.size())});
}

std::set<float> levels(const Tensor& x) {
  const auto values = x.to_vector<float>();
  return {values.begin(), values.end()};
}

std::shared_ptr<quant::ActivationQuantizer> activation(int bits, double step) {
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({bits});
  quantizer->attach(Tensor::full({1}, step));
  return quantizer;
}

}  // namespace

TEST_CASE("wrpn weights: two bits have levels -1, 0, 1, four bits have 15") {
  const auto weights = [](int bits) {
    const auto quantizer = quant::quantizers().get("wrpn").make({bits, false});
    return levels(quant::dequantize(quantizer->quantize(ramp(-1.5f, 1.5f))));
  };
  CHECK(weights(2) == std::set<float>{-1, 0, 1});
  CHECK(weights(3).size() == 7);
  CHECK(weights(4).size() == 15);
  CHECK(*weights(4).rbegin() == Approx(1).epsilon(0x1p-23));
}

TEST_CASE("wrpn weights: codes are the rounded, clipped weight, half to even") {
  const auto quantizer = quant::quantizers().get("wrpn").make({4, false});
  const Tensor w = Tensor::from<float>({0.5f, -0.5f, 1.5f / 7, 3, -3, 0.4f}, {6});
  CHECK(quantizer->quantize(w).codes.to_vector<float>() ==
        std::vector<float>{4, -4, std::rint(1.5f / 7 * 7), 7, -7, 3});
}

TEST_CASE("wrpn weights: the gradient is clipped straight-through") {
  const auto quantizer = quant::quantizers().get("wrpn").make({4, false});
  Tensor w = Tensor::from<float>({-1.25f, -1, -0.3f, 0, 0.9f, 1, 1.25f}, {7});
  w.set_requires_grad();
  const nn::EffectiveWeight effective = quantizer->apply(w, true);
  sum(effective.data).backward();
  CHECK(w.grad().to_vector<float>() == std::vector<float>{0, 7, 7, 7, 7, 7, 0});
}

TEST_CASE("wrpn weights: after a step masters lie from -1 to 1") {
  const auto quantizer = quant::quantizers().get("wrpn").make({4, false});
  Tensor w = Tensor::from<float>({-1.25f, -1, 0.3f, 7}, {4});
  w.set_requires_grad();
  w.set_grad(Tensor::from<float>({0, 1, 0, 0}, {4}));
  nn::Sgd sgd({{.parameters = {{"w", w}}}}, {});
  sgd.prepare_step(0.5);
  quant::apply_step(sgd, {{quantizer, w}});
  CHECK(w.to_vector<float>() == std::vector<float>{-1, -1, 0.3f, 1});
  CHECK(quantizer->quantized(w.detach()).codes.to_vector<float>() ==
        std::vector<float>{-7, -7, 2, 7});
}

TEST_CASE("wrpn activations: k bits have 2^k levels, and quantizing twice is quantizing once") {
  for (int bits : quant::activation_quantizers().get("wrpn").bits) {
    CAPTURE(bits);
    const auto quantizer = quant::activation_quantizers().get("wrpn").make({bits});
    const nn::Scaled once = quantizer->apply(ramp(-0.5f, 1.5f));
    CHECK(levels(once.data).size() == size_t(1) << bits);
    CHECK(once.max_code == (1 << bits) - 1);
    CHECK(quantizer->step().item() == Approx(1.0 / double(once.max_code)));
    CHECK(same_bits(quantizer->apply(nn::real(once)).data, once.data));
  }
}

TEST_CASE("wrpn activations: the error is at most half a step inside the range") {
  const auto quantizer = activation(4, 0.25);
  const Tensor x = ramp(0, 3.75f);
  CHECK(max_difference(nn::real(quantizer->apply(x)), x) == 0.125);
}

TEST_CASE("wrpn activations: the gradient is clipped straight-through") {
  const auto quantizer = activation(4, 0.25);
  Tensor x = Tensor::from<float>({-0.1f, 0, 0.1f, 3.7f, 3.75f, 3.8f}, {6});
  x.set_requires_grad();
  sum(quantizer->apply(x).data).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 4, 4, 4, 4, 0});
}

TEST_CASE("wrpn activations of both signs: codes around a zero point, clipped at both ends") {
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({8, true});
  quantizer->attach(Tensor::full({1}, 0.25));
  CHECK(quantizer->zero_point() == 128);
  CHECK(quantizer->max_code() == 255);
  Tensor x = Tensor::from<float>({-40, -32, -0.25f, -0.2f, 0, 0.375f, 31.75f, 31.8f}, {8});
  x.set_requires_grad();
  const nn::Scaled y = quantizer->apply(x);
  CHECK(y.data.to_vector<float>() == std::vector<float>{0, 0, 127, 127, 128, 130, 255, 255});
  CHECK(y.zero_point == 128);
  CHECK(nn::real(y).to_vector<float>() ==
        std::vector<float>{-32, -32, -0.25f, -0.25f, 0, 0.5f, 31.75f, 31.75f});
  sum(y.data).backward();
  CHECK(x.grad().to_vector<float>() == std::vector<float>{0, 4, 4, 4, 4, 4, 4, 0});
  CHECK(quantizer->saturated() == 0.5);
}

TEST_CASE("wrpn activations of both signs: the range is the 99.9th percentile of the size") {
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({8, true});
  quantizer->begin_calibration(2001);
  std::vector<float> values(2001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = (i % 2 ? -1.0f : 1.0f) * float(i);
  quantizer->observe(Tensor::from(values, {2001}));
  quantizer->finish_calibration();
  CHECK(quantizer->step().item() == Approx(1998.0 / 127).epsilon(1e-6));
}

TEST_CASE("wrpn activations count what lies on the highest code") {
  const auto quantizer = activation(4, 0.25);
  quantizer->apply(Tensor::from<float>({9, 9, 0.5f, 0}, {4}));
  CHECK(quantizer->saturated() == 0.5);
}

TEST_CASE("wrpn activations: the range is the 99.9th percentile, linear between neighbours") {
  std::vector<float> values(4001);
  for (size_t i = 0; i < values.size(); ++i) values[i] = float(i * i % 4001);
  std::vector<float> sorted = values;
  std::sort(sorted.begin(), sorted.end());
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({8});
  quantizer->begin_calibration(int64_t(values.size()));
  for (size_t at = 0; at < values.size(); at += 667) {
    const std::vector<float> part(values.begin() + int64_t(at),
                                  values.begin() + int64_t(std::min(at + 667, values.size())));
    quantizer->observe(Tensor::from(part, {int64_t(part.size())}));
  }
  quantizer->finish_calibration();
  // 0.999 * 4000 = 3996 exactly, so no interpolation.
  CHECK(quantizer->step().item() == Approx(double(sorted[3996]) / 255).epsilon(1e-6));

  const auto halfway = quant::activation_quantizers().get("wrpn").make({8});
  halfway->begin_calibration(501);
  std::vector<float> ascending(501);
  for (size_t i = 0; i < ascending.size(); ++i) ascending[i] = float(i);
  halfway->observe(Tensor::from(ascending, {501}));
  halfway->finish_calibration();
  CHECK(halfway->step().item() == Approx(499.5 / 255).epsilon(1e-6));
}

TEST_CASE("wrpn activations: a layer that is never active keeps the range 0 to 1") {
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({8});
  quantizer->begin_calibration(100);
  quantizer->observe(Tensor::zeros({100}));
  quantizer->finish_calibration();
  CHECK(quantizer->step().item() == Approx(1.0 / 255));
}

TEST_CASE("wrpn activations: values that are not finite stop the calibration") {
  const auto quantizer = quant::activation_quantizers().get("wrpn").make({8});
  quantizer->begin_calibration(3);
  quantizer->observe(Tensor::from<float>({1, NAN, 2}, {3}));
  CHECK_THROWS_WITH(quantizer->finish_calibration(), Catch::Contains("not finite"));
}
