#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/nn/batch_norm2d.h>
#include <apprentice/nn/conv2d.h>
#include <apprentice/nn/init.h>
#include <apprentice/nn/linear.h>
#include <apprentice/nn/pool.h>
#include <apprentice/nn/relu.h>
#include <apprentice/nn/sequential.h>
#include <support/module_gradcheck.h>

using namespace apprentice;

namespace {

struct Codes : nn::Parametrization {
  explicit Codes(nn::EffectiveWeight weight) : weight_(std::move(weight)) {}
  nn::EffectiveWeight apply(const Tensor&, bool) const override { return weight_; }
  nn::EffectiveWeight weight_;
};

void check_near(const Tensor& a, const Tensor& b, double allowed) {
  REQUIRE(a.shape() == b.shape());
  const auto x = a.to_vector<double>(), y = b.to_vector<double>();
  for (size_t i = 0; i < x.size(); ++i) {
    CAPTURE(i, x[i], y[i]);
    CHECK(std::abs(x[i] - y[i]) <= allowed);
  }
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};
Moments moments(const Tensor& w) {
  Moments m;
  double squares = 0;
  for (double v : w.to_vector<double>()) {
    m.mean += v / double(w.numel());
    squares += v * v / double(w.numel());
    m.largest = std::max(m.largest, std::abs(v));
  }
  m.deviation = std::sqrt(squares - m.mean * m.mean);
  return m;
}

}  // namespace

TEST_CASE("initial weights have the deviation of their rule") {
  const Shape shape{64, 3, 3, 32};  // 18,432 draws: 4 standard errors of the deviation are 2.1 %
  Rng rng(4, RngPurpose::test);
  const double he = std::sqrt(2.0 / 288), glorot = std::sqrt(2.0 / (288 + 576));
  CHECK(moments(nn::kaiming_normal(shape, rng)).deviation == Approx(he).epsilon(0.021));
  CHECK(moments(nn::kaiming_uniform(shape, rng)).deviation == Approx(he).epsilon(0.021));
  CHECK(moments(nn::xavier_normal(shape, rng)).deviation == Approx(glorot).epsilon(0.021));
  CHECK(moments(nn::xavier_uniform(shape, rng)).deviation == Approx(glorot).epsilon(0.021));
  CHECK(moments(nn::kaiming_uniform(shape, rng)).largest <= std::sqrt(6.0 / 288));
  CHECK(moments(nn::truncated_normal(shape, 0.5f, rng)).largest <= 1);
  CHECK(std::abs(moments(nn::kaiming_normal(shape, rng)).mean) <= 4 * he / std::sqrt(18432));
  CHECK(nn::fans({10, 64}).in == 64);
  CHECK(nn::fans({10, 64}).out == 10);
  CHECK_THROWS_AS(nn::fans({10}), ShapeError);
}

TEST_CASE("equal seeds give equal layers, other seeds others") {
  const auto weight = [](uint64_t seed) {
    Rng rng(seed);
    return nn::Linear({.in = 5, .out = 4}, rng).parameter("weight").to_vector<float>();
  };
  CHECK(weight(1) == weight(1));
  CHECK(weight(1) != weight(2));
}

TEST_CASE("a convolution of codes is that of the weights they stand for") {
  Rng rng(1, RngPurpose::test);
  nn::Conv2d conv({.in = 4, .out = 3, .padding = {1, 1}, .groups = 1}, rng);
  conv.parameter("bias").copy_from(Tensor::normal({3}, 0, 1, rng));
  const Tensor x = Tensor::normal({2, 5, 4, 4}, 0, 1, rng);
  nn::EffectiveWeight weight{round(Tensor::uniform({3, 3, 3, 4}, -1.4f, 1.4f, rng)),
                             Tensor::uniform({3}, 0.5f, 1, rng),
                             {},
                             1};
  if (GENERATE(false, true))
    weight.step = Tensor::full({1}, 0.5), weight.step_negative = Tensor::full({1}, 0.25);
  const Tensor expected = conv2d(x, nn::real(weight), conv.parameter("bias"), conv.geometry());
  conv.parametrize("weight", std::make_shared<Codes>(weight));
  check_near(conv.forward(x), expected, 40 * 10 * 0x1p-24);  // 36 taps, |sums| below 10
}

TEST_CASE("a linear layer is x W^T + b, in the graph and outside, for weights and codes") {
  Rng rng(2, RngPurpose::test);
  nn::Linear layer({.in = 7, .out = 3}, rng);
  const Tensor x = Tensor::normal({2, 5, 7}, 0, 1, rng);
  std::vector<double> expected;
  const auto xs = x.to_vector<double>(), w = layer.parameter("weight").to_vector<double>(),
             b = layer.parameter("bias").to_vector<double>();
  for (size_t row = 0; row < 10; ++row)
    for (size_t o = 0; o < 3; ++o) {
      double sum = b[o];
      for (size_t k = 0; k < 7; ++k) sum += xs[row * 7 + k] * w[o * 7 + k];
      expected.push_back(sum);
    }
  const Tensor y = Tensor::from(expected, {2, 5, 3});
  const double allowed = 9 * 10 * 0x1p-24;  // 8 terms, |sums| below 10
  check_near(layer.forward(x), y, allowed);
  CHECK(layer.forward(x).node() != nullptr);
  NoGrad no_grad;
  check_near(layer.forward(x), y, allowed);
  const Tensor half = layer.parameter("weight") * 0.5;
  layer.parametrize(
      "weight", std::make_shared<Codes>(nn::EffectiveWeight{half, Tensor::full({1}, 2), {}, 1}));
  check_near(layer.forward(x), y, allowed);
  CHECK_THROWS_WITH(layer.forward(Tensor::zeros({2, 6})),
                    Catch::Matchers::Contains("[2, 6], expected a last axis of 7"));
}

TEST_CASE("batch norm normalises by the batch in train mode and by what it learnt in eval mode") {
  nn::BatchNorm2d bn({.channels = 1, .momentum = 1});
  const Tensor x = Tensor::from<float>({1, 2, 3, 6}, {4, 1, 1, 1});
  const double deviation = std::sqrt(3.5 + 1e-5);
  check_near(bn.forward(x), (x - 3.0) / deviation, 4 * 0x1p-22);
  CHECK(bn.buffer("running_mean").item() == Approx(3));
  CHECK(bn.buffer("running_var").item() == Approx(14.0 / 3));
  bn.eval();
  check_near(bn.forward(x), (x - 3.0) / std::sqrt(14.0 / 3 + 1e-5), 4 * 0x1p-22);
  CHECK(bn.buffer("running_mean").item() == Approx(3));
}

TEST_CASE("pools, ReLU and Sequential compute what they say") {
  const Tensor x = Tensor::from<float>({1, -2, 3, 4}, {1, 2, 2, 1});
  nn::ReLU relu;
  nn::MaxPool2d max({});
  nn::AvgPool2d average({});
  nn::GlobalAvgPool2d pool;
  CHECK(relu(x).to_vector<float>() == std::vector<float>{1, 0, 3, 4});
  CHECK(max(x).item() == 4);
  CHECK(average(x).item() == 1.5);
  CHECK(pool.forward(x).shape() == Shape{1, 1});
  CHECK(pool.forward(x).item() == 1.5);
  nn::Sequential both({std::make_shared<nn::ReLU>(), std::make_shared<nn::GlobalAvgPool2d>()});
  CHECK(both(x).item() == 2);
  CHECK(both.size() == 2);
}

TEST_CASE("a coded map is pooled as integers, then scaled once") {
  Rng rng(3, RngPurpose::test);
  Tensor codes = round(Tensor::uniform({2, 3, 5, 4}, -0.49f, 255.49f, rng));
  const nn::Scaled x{codes, Tensor::full({1}, 0.3), 255};
  nn::GlobalAvgPool2d pool;
  const Tensor outside = pool.forward(x);
  const auto at = codes.view<float, 4>();
  for (int64_t n = 0; n < 2; ++n)
    for (int64_t c = 0; c < 4; ++c) {
      int64_t sum = 0;
      for (int64_t i = 0; i < 15; ++i) sum += int64_t(at(n, i / 5, i % 5, c));
      CHECK(outside.view<float, 2>()(n, c) == float(sum) * (0.3f / 15.0f));
    }
  codes.set_requires_grad();
  const Tensor inside = pool.forward({codes, x.step, 255});
  CHECK(inside.node() != nullptr);
  check_near(inside, outside, 255 * 0.3 * 20 * 0x1p-24);
}

TEST_CASE("max pooling of codes gives the codes of the pooled values, and tells its observer") {
  Rng rng(9, RngPurpose::test);
  const Tensor values = Tensor::normal({2, 7, 6, 3}, 0, 1, rng);
  const auto code = [](const Tensor& x) { return round(clamp(x * 50.0 + 128.0, 0, 255)); };
  nn::MaxPool2d pool({.kernel_size = {3, 3}, .stride = {2, 2}, .padding = {1, 1}});
  int calls = 0;
  nn::Observation last;
  pool.set_observer([&](const nn::Observation& seen) { ++calls, last = seen; });
  const nn::Scaled x{code(values), Tensor::full({1}, 0.02), 255, 128};
  pool.forward(x);
  CHECK(calls == 0);
  pool.eval();
  const nn::Scaled y = pool.forward(x);
  CHECK(y.data.to_vector<float>() == code(pool.forward(values)).to_vector<float>());
  CHECK(y.step.item() == x.step.item());
  CHECK(y.max_code == 255);
  CHECK(y.zero_point == 128);
  CHECK(calls == 1);
  CHECK(last.x.data.impl() == x.data.impl());
  CHECK(last.y.data.impl() == y.data.impl());
  CHECK_THROWS_AS(nn::GlobalAvgPool2d().forward(x), ConfigError);
}

TEST_CASE("gradients of layers agree with differences") {
  Rng rng(6, RngPurpose::test);
  auto net = nn::Sequential(
      {std::make_shared<nn::Conv2d>(nn::Conv2d::Options{.in = 2, .out = 4, .groups = 2}, rng),
       std::make_shared<nn::BatchNorm2d>(nn::BatchNorm2d::Options{.channels = 4}),
       std::make_shared<nn::ReLU>(), std::make_shared<nn::AvgPool2d>(Pool2dOptions{}),
       std::make_shared<nn::Linear>(nn::Linear::Options{.in = 4, .out = 3}, rng)});
  net.to(Dtype::f64);
  const Tensor x = Tensor::normal({2, 6, 6, 2}, 0, 1, rng).to(Dtype::f64);
  CHECK(test::module_gradcheck(net, [&] { return net.forward(x); }) == "");
  CHECK(test::gradcheck([&](const std::vector<Tensor>& in) { return net.forward(in[0]); }, {x}) ==
        "");
}

TEST_CASE("layers refuse impossible options") {
  Rng rng(1);
  CHECK_THROWS_AS(nn::Linear({.in = 0, .out = 1}, rng), ConfigError);
  CHECK_THROWS_AS(nn::Conv2d({.in = 1, .out = 0}, rng), ConfigError);
  CHECK_THROWS_AS(nn::Conv2d({.in = 3, .out = 4, .groups = 2}, rng), ConfigError);
  CHECK_THROWS_AS(nn::Conv2d({.in = 1, .out = 1, .stride = {1, 0}}, rng), ConfigError);
  CHECK_THROWS_AS(nn::Conv2d({.in = 1, .out = 1, .padding = {-1, 0}}, rng), ConfigError);
  CHECK_THROWS_AS(nn::BatchNorm2d({.channels = 0}), ConfigError);
  CHECK_THROWS_AS(nn::BatchNorm2d({.channels = 1, .eps = 0}), ConfigError);
  CHECK_THROWS_AS(nn::BatchNorm2d({.channels = 1, .momentum = 2}), ConfigError);
}
