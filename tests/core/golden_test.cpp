#include <catch2/catch.hpp>

#include <cmath>
#include <functional>
#include <utility>

#include <support/golden.h>

#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/batch_norm.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/linear.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/pool.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/core/ops/softmax.h>

using namespace apprentice;
using test::golden_ops;

namespace {

using Inputs = std::vector<Tensor>;

/// One case of the golden file: how to compute y of the inputs named.
struct Case {
  std::string name;
  std::vector<std::string> inputs;
  std::function<Tensor(const Inputs&)> run;
};

double largest(const Tensor& t) {
  double most = 0;
  for (double v : t.to_vector<double>()) most = std::max(most, std::abs(v));
  return most;
}

/// Number of products that an element of y, or of any gradient, sums at most; taken from the sizes.
double longest_sum(const Case& c) {
  double most = 1;
  for (const std::string& input : c.inputs)
    most = std::max(most, double(golden_ops().get(c.name + "." + input).numel()));
  return std::max(most, double(golden_ops().get(c.name + ".gy").numel()));
}

/// Random terms of rounding size eps = 2^-23 each, `terms` of them, about the tensor's largest
/// element: 8 eps sqrt(terms) max|expected|. f64 computes to far better than that; there the file's
/// own rounding to f32 is what remains, 2^-23 relative.
std::string compare(const Tensor& got, const Tensor& expected, double terms) {
  if (got.shape() != expected.shape())
    return fmt::format("shape is {}, expected {}", got.shape().str(), expected.shape().str());
  const double unit = got.dtype() == Dtype::f64 ? 1 : 8 * std::sqrt(terms);
  const double allowed = unit * 0x1p-23 * std::max(largest(expected), 1e-3);
  const auto g = got.to_vector<double>(), e = expected.to_vector<double>();
  for (size_t i = 0; i < g.size(); ++i)
    if (!(std::abs(g[i] - e[i]) <= allowed))
      return fmt::format("[{}] is {}, expected {} within {}", i, g[i], e[i], allowed);
  return "";
}

void check_case(const Case& c, Dtype dtype) {
  CAPTURE(c.name, name_of(dtype));
  Inputs inputs;
  for (const std::string& input : c.inputs) {
    const Tensor t = golden_ops().get(c.name + "." + input);
    inputs.push_back(t.dtype() == Dtype::f32 ? t.to(dtype).clone() : t);
    if (golden_ops().has(c.name + ".g" + input)) inputs.back().set_requires_grad();
  }
  const double terms = longest_sum(c);
  const Tensor y = c.run(inputs);
  CHECK(compare(y, golden_ops().get(c.name + ".y"), terms) == "");
  y.backward(golden_ops().get(c.name + ".gy").to(dtype));
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!inputs[i].requires_grad()) continue;
    CAPTURE(c.inputs[i]);
    const Tensor expected = golden_ops().get(c.name + ".g" + c.inputs[i]);
    REQUIRE(inputs[i].grad().defined());
    CHECK(compare(inputs[i].grad(), expected, terms) == "");
  }
}

void check_cases(const std::vector<Case>& cases) {
  for (const Case& c : cases)
    for (Dtype dtype : {Dtype::f32, Dtype::f64}) check_case(c, dtype);
}

Case conv(const std::string& name, Conv2dOptions options) {
  std::vector<std::string> inputs{"x", "w"};
  if (golden_ops().has(name + ".b")) inputs.push_back("b");
  return {name, inputs, [options](const Inputs& in) {
            return conv2d(in[0], in[1], in.size() > 2 ? in[2] : Tensor(), options);
          }};
}

Case unary(const std::string& name, std::function<Tensor(const Tensor&)> op) {
  return {name, {"x"}, [op](const Inputs& in) { return op(in[0]); }};
}

Case against(const std::string& name, const std::string& target,
             std::function<Tensor(const Tensor&, const Tensor&)> op) {
  return {name, {"x", target}, [op](const Inputs& in) { return op(in[0], in[1]); }};
}

/// Distillation as the golden values have it, with the factor T^2.
Tensor distillation(const Tensor& x, const Tensor& teacher, float temperature) {
  return kl_divergence(x, teacher, temperature) * (temperature * temperature);
}

}  // namespace

TEST_CASE("convolutions and their gradients equal the golden values") {
  const auto same = [](int64_t s, int64_t p, int64_t d, int64_t groups) {
    return Conv2dOptions{{s, s}, {p, p}, {d, d}, groups};
  };
  check_cases({conv("conv_basic", same(1, 1, 1, 1)), conv("conv_nobias", same(1, 1, 1, 1)),
               conv("conv_stride2", same(2, 1, 1, 1)), conv("conv_nopad", same(1, 0, 1, 1)),
               conv("conv_1x1", same(1, 0, 1, 1)), conv("conv_1x1_stride2", same(2, 0, 1, 1)),
               conv("conv_7x7_stride2", same(2, 3, 1, 1)), conv("conv_5x5_pad2", same(1, 2, 1, 1)),
               conv("conv_grouped", same(1, 1, 1, 4)), conv("conv_depthwise", same(2, 1, 1, 12)),
               conv("conv_dilated", same(1, 2, 2, 1)),
               conv("conv_dilated_stride", same(2, 3, 3, 2)), conv("conv_wide", same(1, 1, 1, 1)),
               conv("conv_asym", {{2, 1}, {0, 2}, {1, 2}, 1})});
}

TEST_CASE("batch norm, its gradients and running statistics equal the golden values") {
  for (const char* name : {"bn_train", "bn_train_1d"}) {
    for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
      const auto state = [&](const char* which) {
        return golden_ops().get(fmt::format("{}.{}", name, which)).to(dtype).clone();
      };
      const Tensor mean = state("rm"), var = state("rv");
      check_case(
          {name,
           {"x", "w", "b"},
           [&](const Inputs& in) { return batch_norm_train(in[0], in[1], in[2], mean, var); }},
          dtype);
      CAPTURE(name, name_of(dtype));
      const double rows = double(golden_ops().get(fmt::format("{}.x", name)).numel());
      CHECK(compare(mean, state("rm_after").to(Dtype::f32), rows) == "");
      CHECK(compare(var, state("rv_after").to(Dtype::f32), rows) == "");
    }
  }
  check_cases({{"bn_eval", {"x", "w", "b", "rm", "rv"}, [](const Inputs& in) {
                  return batch_norm_eval(in[0], in[1], in[2], in[3], in[4]);
                }}});
}

TEST_CASE("pooling, option-A shortcuts and their gradients equal the golden values") {
  const auto max = [](Pool2dOptions o) {
    return [o](const Tensor& x) { return max_pool2d(x, o); };
  };
  const auto avg = [](Pool2dOptions o) {
    return [o](const Tensor& x) { return avg_pool2d(x, o); };
  };
  const auto shortcut = [](const Tensor& x) { return shortcut_a(x, 16, 2); };
  check_cases(
      {unary("maxpool_3_2_1", max({{3, 3}, {2, 2}, {1, 1}})), unary("maxpool_2", max({})),
       unary("avgpool_3_2_1", avg({{3, 3}, {2, 2}, {1, 1}})),
       unary("avgpool_3_2_1_excl", avg({{3, 3}, {2, 2}, {1, 1}, false})),
       unary("avgpool_8", avg({{8, 8}, {8, 8}})),
       unary("avgpool_8",
             [](const Tensor& x) {
               return global_avg_pool2d(x).reshape({3, 1, 1, 6});
             }),
       unary("adaptive_avg_1", [](const Tensor& x) { return adaptive_avg_pool2d(x, 1, 1); }),
       unary("adaptive_avg_3x2", [](const Tensor& x) { return adaptive_avg_pool2d(x, 3, 2); }),
       unary("adaptive_max_3x2", [](const Tensor& x) { return adaptive_max_pool2d(x, 3, 2); }),
       unary("shortcut_a", shortcut), unary("shortcut_a_odd", shortcut)});
}

TEST_CASE("linear, activations and softmax equal the golden values") {
  check_cases(
      {{"linear", {"x", "w", "b"}, [](const Inputs& in) { return linear(in[0], in[1], in[2]); }},
       unary("relu", relu),
       unary("relu6", relu6),
       unary("sigmoid", sigmoid),
       unary("tanh", apprentice::tanh),
       unary("hardtanh", [](const Tensor& x) { return hardtanh(x); }),
       unary("gelu", gelu),
       unary("silu", silu),
       unary("softplus", softplus),
       unary("hardswish", hardswish),
       unary("softmax", [](const Tensor& x) { return softmax(x); }),
       unary("log_softmax", [](const Tensor& x) { return log_softmax(x); }),
       unary("log_softmax_large", [](const Tensor& x) { return log_softmax(x); })});
}

TEST_CASE("losses equal the golden values") {
  check_cases(
      {against("cross_entropy", "target", [](auto& x, auto& t) { return cross_entropy(x, t); }),
       against("cross_entropy_smooth", "target",
               [](auto& x, auto& t) { return cross_entropy(x, t, 0.1f); }),
       against("cross_entropy_sum", "target",
               [](auto& x, auto& t) { return cross_entropy(x, t, 0, Reduction::sum); }),
       against("cross_entropy_soft", "const_p",
               [](auto& x, auto& t) { return soft_cross_entropy(x, t); }),
       against("kd_t1", "const_t", [](auto& x, auto& t) { return distillation(x, t, 1); }),
       against("kd_t4", "const_t", [](auto& x, auto& t) { return distillation(x, t, 4); }),
       {"kd_mix",
        {"x", "const_t", "target"},
        [](const Inputs& in) {
          return cross_entropy(in[0], in[2]) * 0.3 + distillation(in[0], in[1], 4) * 0.7;
        }},
       against("mse", "const_t", mse_loss),
       against("cosine_loss", "const_t", cosine_loss),
       against("cosine_loss_maps", "const_t", cosine_loss)});
}

TEST_CASE("elementwise and reduction operations compose to the golden softmax and cosine") {
  check_cases({unary("softmax",
                     [](const Tensor& x) {
                       const Tensor e = exp(x - max(x, -1, true));
                       return e / sum(e, -1, true);
                     }),
               against("mse", "const_t", [](auto& x, auto& t) { return mean(square(x - t)); }),
               against("cosine_loss", "const_t", [](auto& x, auto& t) {
                 const auto norm = [](const Tensor& v) { return sqrt(sum(square(v), 1)); };
                 return mean(1 - sum(x * t, 1) / (norm(x) * norm(t)));
               })});
}
