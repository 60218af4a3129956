#include <catch2/catch.hpp>

#include <array>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/kernels/kernel_table.h>
#include <apprentice/nn/conv_bn2d.h>
#include <support/module_gradcheck.h>

using namespace apprentice;
using nn::Scaled;

namespace {

/// A uniform grid without rounding in train mode, so that its gradient is exact there.
struct Grid : nn::ActivationTransform {
  Grid(float step, int64_t max, int64_t zero = 0)
      : step_(Tensor::full({1}, step)), max_(max), zero_(zero) {}
  Scaled apply(const Tensor& real) override {
    return {clamp(real / step_.item() + double(zero_), 0, double(max_)), step_, max_, zero_};
  }
  Tensor step() const override { return step_; }
  int64_t max_code() const override { return max_; }
  int64_t zero_point() const override { return zero_; }
  Tensor step_;
  int64_t max_, zero_;
};

/// Weight codes that do not depend on the parameter.
struct Codes : nn::Parametrization {
  explicit Codes(nn::EffectiveWeight weight) : weight_(std::move(weight)) {}
  nn::EffectiveWeight apply(const Tensor&, bool) const override { return weight_; }
  nn::EffectiveWeight weight_;
};

Tensor random_codes(const Shape& shape, int64_t low, int64_t high, Rng& rng) {
  Tensor codes = Tensor::empty(shape);
  float* at = codes.data<float>();
  for (int64_t i = 0; i < codes.numel(); ++i)
    at[i] = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return codes;
}

/// `in` -> 5 channels, 3x3, stride 2, with batch norm that is not the identity.
std::shared_ptr<nn::ConvBn2d> make_layer(Rng& rng, bool relu = true, int64_t in = 3) {
  nn::ConvBn2d::Options options;
  options.conv = {.in = in, .out = 5, .stride = {2, 2}, .padding = {1, 1}};
  options.relu = relu;
  auto layer = std::make_shared<nn::ConvBn2d>(options, rng);
  layer->bn().parameter("weight").copy_from(Tensor::uniform({5}, -1, 2, rng));
  layer->bn().parameter("bias").copy_from(Tensor::normal({5}, 0, 1, rng));
  layer->bn().buffer("running_mean").copy_from(Tensor::normal({5}, 0, 1, rng));
  layer->bn().buffer("running_var").copy_from(Tensor::uniform({5}, 0.5f, 2, rng));
  return layer;
}

Scaled real_part(const Scaled& x) {
  return x.data.defined() ? Scaled{nn::real(x), {}, 0} : Scaled{};
}

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

TEST_CASE("eval folds batch norm, steps and residual into one pass that equals the real layer") {
  Rng rng(3, RngPurpose::test);
  auto layer = make_layer(rng, GENERATE(true, false));
  Scaled x{Tensor::normal({2, 7, 6, 3}, 0, 1, rng), {}, 0};
  Scaled shortcut;
  const int variant =
      GENERATE(range(0, 5));  // plain, residual, codes, two steps, weight codes only
  if (variant > 0) shortcut.data = Tensor::normal({2, 4, 3, 5}, 0, 1, rng);
  if (variant == 2 || variant == 3) {
    x = {random_codes({2, 7, 6, 3}, 0, 15, rng), Tensor::full({1}, 0.1), 15};
    shortcut = {random_codes({2, 4, 3, 5}, 0, 15, rng), Tensor::full({1}, 0.2), 15};
  }
  nn::EffectiveWeight weight{
      random_codes({5, 3, 3, 3}, -1, 1, rng), Tensor::uniform({5}, 0.1f, 1, rng), {}, 1};
  if (variant == 3) weight.step = Tensor::full({1}, 0.3), weight.step_negative = weight.step * 2.0;
  if (variant > 1) layer->conv().parametrize("weight", std::make_shared<Codes>(weight));
  auto real_layer = make_layer(rng, layer->options().relu);
  real_layer->load_state_dict(layer->state_dict());
  if (variant > 1) real_layer->conv().parameter("weight").copy_from(nn::real(weight));
  real_layer->eval();
  layer->eval();
  const Tensor graph = real_layer->forward({nn::real(x), {}, 0}, real_part(shortcut)).data;
  CHECK(graph.node() != nullptr);
  const Tensor coded = layer->forward(x, shortcut).data;
  Tensor folded;
  {
    NoGrad no_grad;
    folded = layer->forward(x, shortcut).data;
  }
  // 27 taps, a scale and two more terms, each of at most 15 * 0.2 * 2 / sqrt(0.5) < 10 in size.
  const double allowed = 30 * 10 * 30 * 0x1p-24;
  const auto a = graph.to_vector<double>(), b = coded.to_vector<double>(),
             c = folded.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) {
    CAPTURE(variant, i);
    CHECK(std::abs(a[i] - b[i]) <= allowed);
    CHECK(std::abs(a[i] - c[i]) <= allowed);
  }
}

TEST_CASE("training on codes equals training on the real values they stand for") {
  Rng rng(5, RngPurpose::test);
  auto coded = make_layer(rng), plain = make_layer(rng);
  plain->load_state_dict(coded->state_dict());
  const Scaled x{random_codes({4, 7, 6, 3}, 0, 255, rng), Tensor::full({1}, 0.01), 255};
  const Scaled shortcut{random_codes({4, 4, 3, 5}, 0, 255, rng), Tensor::full({1}, 0.01), 255};
  const nn::EffectiveWeight weight{
      random_codes({5, 3, 3, 3}, -1, 1, rng), Tensor::full({1}, 0.05), {}, 1};
  coded->conv().parametrize("weight", std::make_shared<Codes>(weight));
  plain->conv().parameter("weight").copy_from(nn::real(weight));
  const Tensor a = coded->forward(x, shortcut).data;
  const Tensor b = plain->forward({nn::real(x), {}, 0}, {nn::real(shortcut), {}, 0}).data;
  // Normalised values are below sqrt(48) + 3; 27 taps, twice through the statistics.
  const auto ya = a.to_vector<double>(), yb = b.to_vector<double>();
  for (size_t i = 0; i < ya.size(); ++i) CHECK(std::abs(ya[i] - yb[i]) <= 60 * 10 * 0x1p-24);
  for (const char* name : {"running_mean", "running_var"}) {
    const auto ra = coded->bn().buffer(name).to_vector<double>();
    const auto rb = plain->bn().buffer(name).to_vector<double>();
    for (size_t c = 0; c < ra.size(); ++c) CHECK(ra[c] == Approx(rb[c]).epsilon(1e-5));
  }
}

TEST_CASE("a training step on integer sums has the bits of one on f32 sums") {
  Rng rng(13, RngPurpose::test);
  const int64_t max_weight = GENERATE(1, 7);
  auto layer = make_layer(rng, true, 16);
  const nn::EffectiveWeight weight{random_codes({5, 3, 3, 16}, -max_weight, max_weight, rng),
                                   Tensor::uniform({5}, 0.01f, 0.1f, rng),
                                   {},
                                   max_weight};
  layer->conv().parametrize("weight", std::make_shared<Codes>(weight));
  const Scaled x{random_codes({4, 7, 6, 16}, 0, 255, rng), Tensor::full({1}, 0.01), 255};
  const Scaled shortcut{random_codes({4, 4, 3, 5}, 0, 255, rng), Tensor::full({1}, 0.01), 255};
  const Tensor grad = Tensor::normal({4, 4, 3, 5}, 0, 1, rng);
  const auto step = [&](auto forward) {
    Scaled in = x, added = shortcut;
    in.data = x.data.clone().set_requires_grad();
    added.data = shortcut.data.clone().set_requires_grad();
    layer->bn().parameter("weight").set_grad({});
    const Tensor y = forward(in, added);
    y.backward(grad);
    return std::array{y.to_vector<float>(), in.data.grad().to_vector<float>(),
                      added.data.grad().to_vector<float>(),
                      layer->bn().parameter("weight").grad().to_vector<float>()};
  };
  const auto integer =
      step([&](const Scaled& in, const Scaled& added) { return layer->forward(in, added).data; });
  const auto real = step([&](const Scaled& in, const Scaled& added) {
    const Tensor sums = conv2d(in.data, weight.data, {}, layer->conv().geometry());
    return layer->bn().forward(sums, {.x_scale = in.step * weight.step,
                                      .residual = added.data,
                                      .residual_scale = added.step,
                                      .relu = true});
  });
  for (size_t i = 0; i < integer.size(); ++i) CHECK(bool(integer[i] == real[i]));
}

TEST_CASE("an observer sees eval forwards and nothing else") {
  Rng rng(2, RngPurpose::test);
  auto layer = make_layer(rng);
  int calls = 0;
  nn::Observation last;
  layer->set_observer([&](const nn::Observation& seen) { ++calls, last = seen; });
  const Scaled x{Tensor::normal({2, 7, 6, 3}, 0, 1, rng), {}, 0};
  layer->forward(x);
  CHECK(calls == 0);
  layer->eval();
  NoGrad no_grad;
  const Tensor y = layer->forward(x).data;
  CHECK(calls == 1);
  CHECK_FALSE(last.sums.defined());
  CHECK(last.y.data.to_vector<float>() == y.to_vector<float>());
  layer->set_activation(std::make_shared<Grid>(0.1f, 255));
  layer->forward(x);
  CHECK(last.sums.shape() == y.shape());
  CHECK(last.y.max_code == 255);
  layer->set_observer({});
  layer->forward(x);
  CHECK(calls == 2);
}

TEST_CASE("gradients of the layer agree with differences") {
  Rng rng(11, RngPurpose::test);
  auto layer = make_layer(rng);
  layer->to(Dtype::f64);
  const bool training = GENERATE(true, false);
  layer->train(training);
  if (GENERATE(false, true)) layer->set_activation(std::make_shared<Grid>(0.5f, 255));
  const Tensor x = Tensor::normal({2, 5, 5, 3}, 0, 1, rng).to(Dtype::f64);
  const Tensor shortcut = Tensor::normal({2, 3, 3, 5}, 0, 1, rng).to(Dtype::f64);
  CAPTURE(training);
  CHECK(test::module_gradcheck(*layer, [&] {
          return layer->forward({x, {}, 0}, {shortcut, {}, 0}).data;
        }) == "");
  CHECK(test::gradcheck(
            [&](const std::vector<Tensor>& in) {
              return layer->forward({in[0], {}, 0}, {in[1], {}, 0}).data;
            },
            {x, shortcut}) == "");
}
