#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/kernels/kernel_table.h>
#include <nn/conv_bn2d_layer.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

/// The epilogue by hand (docs/numerics.md, rule 3), one output at a time. `sums` are f32 of the
/// accumulators, `negative` those over negative codes.
struct Expected {
  nn::ConvBn2d& layer;
  nn::EffectiveWeight weight;
  float x_step, y_step;
  int64_t max_code, y_zero, shortcut_zero;

  float constant(const Tensor& step, int64_t c, float& b) const {
    const float gamma = layer.bn().parameter("weight").data<float>()[c];
    const float beta = layer.bn().parameter("bias").data<float>()[c];
    const float mean = layer.bn().buffer("running_mean").data<float>()[c];
    const float var = layer.bn().buffer("running_var").data<float>()[c];
    const float g = gamma / std::sqrt(var + 1e-5f);
    b = std::fmaf(-mean, g, beta) / y_step;
    const float w_step =
        step.defined() ? step.to_vector<float>()[step.numel() == 1 ? 0 : size_t(c)] : 1;
    return ((w_step * x_step) * g) / y_step;
  }
  float code(int64_t c, float sum, float negative, float shortcut, float r) const {
    float own = 0;
    const float a = constant(weight.step, c, own);
    float b = std::fmaf(-float(shortcut_zero), r, own + float(y_zero));
    if (weight.step_negative.defined())
      b = std::fmaf(-negative, constant(weight.step_negative, c, own), b);
    const float t = std::fmaf(shortcut, r, std::fmaf(sum, a, b));
    return std::rint(std::fmin(std::fmax(t, 0), float(max_code)));
  }
};

/// sum over taps in order of one fmaf each, of weights that `keep` says; exact for integers.
template <class Keep>
float sum_at(const Tensor& x, const Tensor& w, int64_t n, int64_t p, int64_t q, int64_t o,
             Keep keep) {
  const auto xs = x.view<float, 4>();
  const auto ws = w.view<float, 4>();
  float sum = 0;
  for (int64_t r = 0; r < 3; ++r)
    for (int64_t s = 0; s < 3; ++s)
      for (int64_t i = 0; i < xs.size(3); ++i) {
        const int64_t h = 2 * p + r - 1, v = 2 * q + s - 1;
        if (h < 0 || v < 0 || h >= xs.size(1) || v >= xs.size(2)) continue;
        sum = std::fmaf(xs(n, h, v, i), keep(ws(o, r, s, i)), sum);
      }
  return sum;
}

void check_codes(nn::ConvBn2d& layer, const Scaled& x, const Scaled& shortcut = {}) {
  layer.eval();
  NoGrad no_grad;
  const Scaled y = layer.forward(x, shortcut);
  const nn::EffectiveWeight weight = layer.conv().effective("weight");
  const float y_step = float(layer.activation()->step().item());
  const Expected expected{layer,
                          weight,
                          x.coded() ? float(x.step.item()) : 1,
                          y_step,
                          y.max_code,
                          layer.activation()->zero_point(),
                          shortcut.zero_point};
  const float r = shortcut.coded() ? float(shortcut.step.item()) / y_step : 0;
  const auto codes = y.data.view<float, 4>();
  CHECK(y.step.item() == y_step);
  CHECK(y.zero_point == layer.activation()->zero_point());
  const bool two = weight.step_negative.defined();
  for (int64_t n = 0; n < codes.size(0); ++n)
    for (int64_t p = 0; p < codes.size(1); ++p)
      for (int64_t q = 0; q < codes.size(2); ++q)
        for (int64_t o = 0; o < codes.size(3); ++o) {
          const float sum = sum_at(x.data, weight.data, n, p, q, o,
                                   [&](float w) { return two ? std::fmax(w, 0.0f) : w; });
          const float negative =
              sum_at(x.data, weight.data, n, p, q, o, [&](float w) { return std::fmax(-w, 0.0f); });
          const float added = shortcut.coded() ? shortcut.data.view<float, 4>()(n, p, q, o) : 0;
          CAPTURE(n, p, q, o, sum, negative, added);
          REQUIRE(codes(n, p, q, o) == expected.code(o, sum, negative, added, r));
        }
}

}  // namespace

TEST_CASE("a layer of codes gives exactly the codes of the epilogue") {
  Rng rng(7, RngPurpose::test);
  auto layer = make_layer(rng);
  const Tensor w = random_codes({5, 3, 3, 3}, -1, 1, rng);
  const Scaled x{random_codes({2, 7, 6, 3}, 0, 255, rng), Tensor::full({1}, 0.0123), 255};
  const Scaled shortcut{random_codes({2, 4, 3, 5}, 0, 255, rng), Tensor::full({1}, 0.02), 255};
  layer->set_activation(std::make_shared<Grid>(0.031f, 255));
  SECTION("one step") {
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(nn::EffectiveWeight{w, Tensor::full({1}, 0.07), {}, 1}));
    check_codes(*layer, x);
    check_codes(*layer, x, shortcut);
  }
  SECTION("one step a channel, four-bit outputs") {
    layer->set_activation(std::make_shared<Grid>(0.4f, 15));
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(
                      nn::EffectiveWeight{w * 7.0, Tensor::uniform({5}, 0.01f, 0.1f, rng), {}, 7}));
    check_codes(*layer, x, shortcut);
  }
  SECTION("two steps") {
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(
                      nn::EffectiveWeight{w, Tensor::full({1}, 0.07), Tensor::full({1}, 0.03), 1}));
    check_codes(*layer, x, shortcut);
  }
  SECTION("signed outputs, whose clamp is their range") {
    layer->set_activation(std::make_shared<Grid>(0.11f, 255, 128));
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(nn::EffectiveWeight{w, Tensor::full({1}, 0.7), {}, 1}));
    check_codes(*layer, x);
  }
  SECTION("a signed shortcut") {
    Scaled projection = shortcut;
    projection.zero_point = 128;
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(nn::EffectiveWeight{w, Tensor::full({1}, 0.07), {}, 1}));
    check_codes(*layer, x, projection);
    layer->conv().parametrize(
        "weight", std::make_shared<Codes>(
                      nn::EffectiveWeight{w, Tensor::full({1}, 0.07), Tensor::full({1}, 0.03), 1}));
    check_codes(*layer, x, projection);
  }
  SECTION("the stem: real images and weights, sums in order") {
    check_codes(*layer, {Tensor::normal({2, 7, 6, 3}, 0, 1, rng), {}, 0});
  }
  SECTION("real weights behind codes") { check_codes(*layer, x); }
}

TEST_CASE("sums of real images are taken tap by tap, in f32, by every family of kernels") {
  Rng rng(8, RngPurpose::test);
  auto layer = make_layer(rng, true, 40);
  layer->set_activation(std::make_shared<Grid>(0.1f, 255));
  layer->eval();
  Tensor sums;
  layer->set_observer([&](const nn::Observation& seen) { sums = seen.sums; });
  NoGrad no_grad;
  const Tensor x = Tensor::normal({1, 7, 6, 40}, 0, 1, rng), w = layer->conv().parameter("weight");
  kernels::default_preference().family = GENERATE("", "reference");
  layer->forward({x, {}, 0});
  kernels::default_preference().family = "";
  for (int64_t o = 0; o < 5; ++o)
    for (int64_t p = 0; p < 4; ++p)
      CHECK(sums.view<float, 4>()(0, p, 1, o) ==
            sum_at(x, w, 0, p, 1, o, [](float tap) { return tap; }));
}

TEST_CASE("integers that f32 cannot hold are summed in s32 and rounded once") {
  Rng rng(12, RngPurpose::test);
  const int64_t in = 4000;
  auto layer = make_layer(rng, true, in);
  layer->set_activation(std::make_shared<Grid>(500000.0f, 255));
  const nn::EffectiveWeight weight{
      random_codes({5, 3, 3, in}, 6, 7, rng), Tensor::full({1}, 1), {}, 7};
  layer->conv().parametrize("weight", std::make_shared<Codes>(weight));
  layer->eval();
  nn::Observation seen;
  layer->set_observer([&](const nn::Observation& o) { seen = o; });
  NoGrad no_grad;
  const Tensor x = random_codes({1, 4, 4, in}, 254, 255, rng);
  layer->forward({x, Tensor::full({1}, 1), 255});
  const auto xs = x.view<float, 4>(), ws = weight.data.view<float, 4>();
  for (int64_t o = 0; o < 5; ++o) {
    int64_t sum = 0;  // of the second pixel, whose window lies inside
    for (int64_t r = 0; r < 3; ++r)
      for (int64_t s = 0; s < 3; ++s)
        for (int64_t i = 0; i < in; ++i)
          sum += int64_t(xs(0, 1 + r, 1 + s, i)) * int64_t(ws(o, r, s, i));
    CHECK(sum > int64_t(1) << 25);
    CHECK(seen.sums.view<float, 4>()(0, 1, 1, o) == float(sum));
  }
}

TEST_CASE("integers that s32 cannot hold and shortcuts that do not fit are refused") {
  Rng rng(1, RngPurpose::test);
  auto layer = make_layer(rng);
  layer->set_activation(std::make_shared<Grid>(1.0f, 255));
  const nn::EffectiveWeight wide{Tensor::full({5, 3, 3, 3}, 2500), Tensor::full({1}, 1), {}, 2500};
  layer->conv().parametrize("weight", std::make_shared<Codes>(wide));
  layer->eval();
  NoGrad no_grad;
  const Scaled x{Tensor::full({1, 3, 3, 3}, 255), Tensor::full({1}, 1), 255};
  CHECK_THROWS_WITH(layer->forward(x),
                    Catch::Matchers::Contains("conv1") && Catch::Matchers::Contains("27 products"));
  layer->conv().parametrize("weight", nullptr);
  CHECK_THROWS_WITH(layer->forward(x, x),
                    Catch::Matchers::Contains("[1, 3, 3, 3], the sums are [1, 2, 2, 5]"));
}

TEST_CASE("signed codes stand for code minus zero point, and no convolution reads them") {
  Rng rng(4, RngPurpose::test);
  const Scaled x{random_codes({1, 4, 4, 3}, 0, 255, rng), Tensor::full({1}, 0.5), 255, 128};
  const auto codes = x.data.to_vector<float>(), values = nn::real(x).to_vector<float>();
  for (size_t i = 0; i < codes.size(); ++i) CHECK(values[i] == 0.5f * (codes[i] - 128));
  auto layer = make_layer(rng);
  CHECK_THROWS_WITH(layer->forward(x),
                    Catch::Matchers::Contains("conv1: x has the zero point 128"));
}

TEST_CASE("a signed shortcut adds the same real values to graph, folded and coded layers") {
  Rng rng(6, RngPurpose::test);
  auto layer = make_layer(rng);
  const Scaled x{Tensor::normal({2, 7, 6, 3}, 0, 1, rng), {}, 0};
  const Scaled shortcut{random_codes({2, 4, 3, 5}, 0, 255, rng), Tensor::full({1}, 0.05), 255, 128};
  const Scaled plain = real_part(shortcut);
  const auto difference = [&] {
    const auto a = nn::real(layer->forward(x, shortcut)).to_vector<double>();
    const auto b = nn::real(layer->forward(x, plain)).to_vector<double>();
    double largest = 0;
    for (size_t i = 0; i < a.size(); ++i) largest = std::max(largest, std::abs(a[i] - b[i]));
    return largest;
  };
  // Values are below 6.4 + sqrt(42) + 3 < 16, rounded a few times.
  const double allowed = 4 * 16 * 0x1p-23;
  layer->train();
  CHECK(difference() <= allowed);
  layer->eval();
  NoGrad no_grad;
  CHECK(difference() <= allowed);
  layer->set_activation(std::make_shared<Grid>(0.01f, 255));
  CHECK(difference() <= 0.01f * (1 + 1e-6f));  // a value on a tie may round either way
}
