// bf16 as what activations are stored in (core/precision.h).
#include <catch2/catch.hpp>

#include <algorithm>
#include <cmath>

#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/batch_norm.h>
#include <apprentice/core/ops/conv2d.h>
#include <apprentice/core/ops/pool.h>
#include <apprentice/core/precision.h>
#include <apprentice/kernels/types.h>
#include <device/distance.h>
#include <device/test_device.h>

using namespace apprentice;
using test::distance;

namespace {

/// Half the distance from 1 to the next bf16.
constexpr double kRounding = kernels::epsilon_of<Bf16> / 2;

/// Integers low to high, in f32 on `device`.
Tensor integers(const Shape& shape, int64_t low, int64_t high, Rng& rng, Device device) {
  std::vector<float> values(size_t(shape.numel()));
  for (float& v : values) v = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return Tensor::from(values, shape).to(device);
}

Tensor leaf(const Tensor& values, Dtype dtype) {
  Tensor t = values.to(dtype).clone();
  return t.set_requires_grad();
}

/// The values as bf16 holds them.
std::vector<float> rounded(const Tensor& t) {
  return t.to(Dtype::bf16).to(Dtype::f32).to_vector<float>();
}
std::vector<float> stored(const Tensor& t, Dtype as) {
  return as == Dtype::bf16 ? rounded(t) : t.to_vector<float>();
}

struct Parameters {
  Tensor weight, bias, mean, var;
};
Parameters parameters_of(int64_t channels, Device device) {
  const auto full = [&](double v) { return Tensor::full({channels}, v).to(device); };
  return {full(1), full(0), full(0), full(1)};
}

}  // namespace

TEST_CASE("in bf16 layers of a device store bf16, but f32 what must be exact, and the CPU f32") {
  Rng rng(1);
  for (const Device device : {test_device(), Device{}})
    for (const Precision precision : {Precision::f32, Precision::tf32, Precision::bf16}) {
      CAPTURE(device.str(), name_of(precision));
      const PrecisionGuard guard(precision);
      const bool narrow = precision == Precision::bf16 && !device.is_cpu();
      const Dtype activations = narrow ? Dtype::bf16 : Dtype::f32;
      const Tensor x = integers({2, 4, 4, 8}, -3, 3, rng, device);
      const Tensor w = integers({8, 3, 3, 8}, -3, 3, rng, device);
      Conv2dOptions any{.padding = {1, 1}};
      any.exact = false;
      CHECK(conv2d(x, w).dtype() == Dtype::f32);
      CHECK(conv2d(x, w, {}, any).dtype() == activations);
      CHECK(conv2d_fused(x, w, {}, any, x, true).dtype() == activations);
      const Parameters p = parameters_of(8, device);
      const auto norm = [&](BatchNormOptions o) {
        return batch_norm_train(x, p.weight, p.bias, p.mean, p.var, o).dtype();
      };
      BatchNormOptions codes{.relu = true}, exact;
      codes.codes = {Tensor::full({1}, 0.25).to(device), 255, {}};
      exact.exact = true;
      CHECK(norm({}) == activations);
      CHECK(norm(codes) == activations);
      codes.codes.max_code = 1023;
      CHECK(norm(codes) == Dtype::f32);
      CHECK(norm(exact) == Dtype::f32);
      const Tensor y = conv2d(x, w, {}, any);
      CHECK(relu(y).dtype() == activations);
      CHECK((y + y).dtype() == activations);
      CHECK((y + x).dtype() == Dtype::f32);
      CHECK(max_pool2d(y, {}).dtype() == activations);
      CHECK(shortcut_a(y, 12, 2).dtype() == activations);
      CHECK(global_avg_pool2d(y).dtype() == Dtype::f32);
    }
}

TEST_CASE("a convolution of bf16 and its gradients are those of the same f32, rounded once") {
  const auto [x_dtype, y_dtype] =
      GENERATE(std::pair{Dtype::bf16, Dtype::bf16}, std::pair{Dtype::f32, Dtype::bf16},
               std::pair{Dtype::bf16, Dtype::f32});
  const bool with_bias = GENERATE(true, false);
  CAPTURE(name_of(x_dtype), name_of(y_dtype), with_bias);
  const Device device = test_device();
  Rng rng(2);
  // Integers, of which all sums are exact in f32, so that any order of them is right.
  const Tensor x = integers({2, 5, 4, 6}, -9, 9, rng, device);
  const Tensor w = integers({7, 3, 3, 6}, -7, 7, rng, device);
  const Tensor bias = integers({7}, -99, 99, rng, device);
  const Tensor grad_y = integers({2, 3, 2, 7}, -9, 9, rng, device);
  const auto run = [&](Dtype of_x, Precision precision, bool exact) {
    const PrecisionGuard guard(precision);
    Conv2dOptions options{.stride = {2, 2}, .padding = {1, 1}};
    options.exact = exact;
    std::vector<Tensor> leaves{leaf(x, of_x), leaf(w, Dtype::f32)};
    if (with_bias) leaves.push_back(leaf(bias, Dtype::f32));
    const Tensor y = conv2d(leaves[0], leaves[1], with_bias ? leaves[2] : Tensor(), options);
    y.backward(grad_y.to(y.dtype()));
    std::vector<Tensor> all{y.detach()};
    for (const Tensor& each : leaves) all.push_back(each.grad());
    return all;
  };
  const auto expected = run(Dtype::f32, Precision::f32, true);
  const auto got = run(x_dtype, Precision::bf16, y_dtype == Dtype::f32);
  const Dtype dtypes[] = {y_dtype, x_dtype, Dtype::f32, Dtype::f32};
  for (size_t i = 0; i < got.size(); ++i) {
    CAPTURE(i);
    CHECK(got[i].dtype() == dtypes[i]);
    CHECK(got[i].to_vector<float>() == stored(expected[i], dtypes[i]));
  }
}

TEST_CASE("a convolution of bf16 in precision f32 rounds nothing but what it stores") {
  Rng rng(3);
  const Tensor x = integers({1, 3, 3, 2}, -9, 9, rng, test_device());
  const Tensor w = integers({4, 3, 3, 2}, 257, 511, rng, test_device());  // 9 bits
  Conv2dOptions options;
  options.exact = false;
  const Tensor y = conv2d(x.to(Dtype::bf16), w, {}, options);
  CHECK(y.dtype() == Dtype::bf16);
  CHECK(y.to_vector<float>() == rounded(conv2d(x, w)));
}

TEST_CASE("a bias gets the sum of all bits of its gradient, in bf16 too") {
  Rng rng(5);
  const PrecisionGuard guard(Precision::bf16);
  const Tensor x = leaf(integers({1, 3, 3, 2}, -9, 9, rng, test_device()), Dtype::bf16);
  const Tensor w = leaf(integers({4, 1, 1, 2}, -9, 9, rng, test_device()), Dtype::f32);
  const Tensor bias = leaf(integers({4}, -9, 9, rng, test_device()), Dtype::f32);
  const Tensor y = conv2d(x, w, bias);
  y.backward(Tensor::full({1, 3, 3, 4}, 257).to(test_device()));  // nine bits
  CHECK(bias.grad().to_vector<float>() == std::vector<float>(4, 9 * 257));
}

TEST_CASE("a residual is added in the dtype of the output, and gets its gradient in its own") {
  Rng rng(4);
  const Device device = test_device();
  const PrecisionGuard guard(Precision::bf16);
  const Tensor x = integers({2, 3, 3, 5}, -9, 9, rng, device);
  const Parameters p = parameters_of(5, device);
  for (const Dtype dtype : {Dtype::f32, Dtype::bf16})
    for (const bool exact : {true, false}) {
      CAPTURE(name_of(dtype), exact);
      const Tensor residual = leaf(integers({2, 3, 3, 5}, -9, 9, rng, device), dtype);
      BatchNormOptions options{.residual = residual};
      options.exact = exact;
      const Tensor y = batch_norm_train(x, p.weight, p.bias, p.mean, p.var, options);
      const Tensor grad = integers({2, 3, 3, 5}, -9, 9, rng, device);
      y.backward(grad.to(y.dtype()));
      CHECK(residual.grad().dtype() == dtype);
      CHECK(residual.grad().to_vector<float>() == grad.to_vector<float>());
    }
}

namespace {

/// y and gradients of sum(y * weights) of a sample with its real inputs as `dtype`.
std::vector<Tensor> results(const OpSample& sample, Dtype dtype, Device device) {
  std::vector<Tensor> inputs;
  for (const Tensor& input : sample.inputs) {
    const bool real = input.dtype() == Dtype::f32;
    // The same numbers for either dtype.
    const Tensor there = input.to(device);
    inputs.push_back(real ? leaf(there.to(Dtype::bf16), dtype) : there);
  }
  const Tensor y = sample.run(inputs);
  std::vector<Tensor> all{y.detach()};
  if (!y.requires_grad()) return all;
  std::vector<float> weights(size_t(y.numel()));
  for (size_t i = 0; i < weights.size(); ++i) weights[i] = float(i % 7) / 4 - 0.5f;
  y.backward(Tensor::from(weights, y.shape()).to(device).to(y.dtype()));
  for (const Tensor& input : inputs)
    if (input.grad()) all.push_back(input.grad());
  return all;
}

}  // namespace

TEST_CASE("every operation takes bf16, and gives what it gives of the same numbers in f32") {
  const Device device = GENERATE(test_device(), Device{});
  CAPTURE(device.str());
  for (const std::string& name : op_samples().names()) {
    Rng rng(7);
    for (const OpSample& sample : op_samples().get(name)(rng)) {
      CAPTURE(name, sample.name);
      const auto expected = results(sample, Dtype::f32, device);
      const auto got = results(sample, Dtype::bf16, device);
      REQUIRE(got.size() == expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].device() == device);
        CHECK((i == 0 || got[i].dtype() == Dtype::bf16));
        // The longest of them stores ten numbers on its way, each rounded.
        CHECK(distance(got[i], expected[i]) <= 10 * kRounding);
      }
    }
  }
}
