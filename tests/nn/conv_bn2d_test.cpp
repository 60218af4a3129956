#include <catch2/catch.hpp>

#include <array>
#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/conv2d.h>
#include <nn/conv_bn2d_layer.h>
#include <support/module_gradcheck.h>

using namespace apprentice;
using namespace apprentice::test;

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
