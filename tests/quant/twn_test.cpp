#include <catch2/catch.hpp>

#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/state.h>
#include <quant/quant_problems.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

const State& golden() {
  static const State state = load_state(APPRENTICE_TEST_GOLDEN "/ops.safetensors");
  return state;
}
Tensor golden(const std::string& name) { return golden().tensors.at(name); }

}  // namespace

TEST_CASE("twn gives the golden codes and scales, one a layer and one a channel") {
  for (bool per_channel : {false, true}) {
    const std::string name = per_channel ? "twn_channel" : "twn_layer";
    CAPTURE(name);
    const auto twn = quant::quantizers().get("twn").make({2, per_channel});
    const auto q = twn->quantize(golden(name + ".w"));
    CHECK(same_bits(q.codes, golden(name + ".codes").to(Dtype::f32)));
    // Computed in double and rounded to f32 on both sides: one rounding may fall otherwise.
    const Tensor alpha = golden(name + ".alpha").reshape({-1});
    REQUIRE(q.scale.shape() == alpha.shape());
    CHECK(max_difference(q.scale / alpha, Tensor::full(alpha.shape(), 1)) <= 0x1p-22);
    CHECK(max_difference(quant::dequantize(q), golden(name + ".wq")) <= 0x1p-22);
  }
}

TEST_CASE("twn passes the gradient of the real weight straight to the master") {
  const Tensor w = random_weight({4, 3, 3, 5}, 3);
  for (bool per_channel : {false, true}) {
    CAPTURE(per_channel);
    const auto twn = quant::quantizers().get("twn").make({2, per_channel});
    Tensor master = w.clone();
    master.set_requires_grad();
    const Tensor upstream = random_weight({4, 3, 3, 5}, 4);
    const nn::EffectiveWeight effective = twn->apply(master, true);
    sum(nn::real(effective) * upstream).backward();
    // The step divides what it had multiplied: two roundings.
    for (int64_t i = 0; i < w.numel(); ++i)
      REQUIRE(master.grad().to_vector<double>()[size_t(i)] ==
              Approx(upstream.to_vector<double>()[size_t(i)]).epsilon(0x1p-22));
  }
}

TEST_CASE("twn does not differentiate its step") {
  const auto twn = quant::quantizers().get("twn").make({2, false});
  Tensor master = random_weight({4, 9}, 3);
  master.set_requires_grad();
  CHECK_FALSE(twn->apply(master, true).step.requires_grad());
}
