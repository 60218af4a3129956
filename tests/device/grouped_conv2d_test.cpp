#include <catch2/catch.hpp>

#include <memory>

#include <apprentice/base/device_allocator.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/integer_conv2d.h>
#include <apprentice/core/precision.h>
#include <apprentice/nn/conv_bn2d.h>
#include <apprentice/quant/activation_quantizer.h>
#include <apprentice/quant/quantizer.h>

#include <device/test_device.h>

using namespace apprentice;

namespace {

Tensor random_codes(const Shape& shape, int64_t low, int64_t high, uint64_t seed) {
  Rng rng(seed, RngPurpose::test);
  Tensor codes = Tensor::empty(shape);
  for (int64_t i = 0; i < codes.numel(); ++i)
    codes.data<float>()[i] = float(low + int64_t(rng.below(uint32_t(high - low + 1))));
  return codes;
}

/// The largest code everywhere: sums of 9,400 of them need more than f32 holds.
Tensor filled(const Shape& shape, double code) { return Tensor::full(shape, code); }

}  // namespace

TEST_CASE("integers of grouped convolutions on a device are the CPU's, past 2^24 too") {
  struct Case {
    Tensor x, weight;
    int64_t max_weight;
    Conv2dOptions options;
  };
  const Case c = GENERATE(
      Case{random_codes({2, 5, 4, 6}, 0, 255, 1),
           random_codes({4, 3, 3, 3}, -7, 7, 2),
           7,
           {.stride = {2, 1}, .padding = {1, 0}, .groups = 2}},
      Case{random_codes({1, 4, 4, 5}, 0, 255, 3),
           random_codes({5, 3, 3, 1}, -1, 1, 4),
           1,
           {.padding = {1, 1}, .groups = 5}},
      Case{filled({1, 1, 1, 2 * 9401}, 255), filled({4, 1, 1, 9401}, 7), 7, {.groups = 2}});
  const Tensor expected = integer_conv2d(c.x, 255, c.weight, c.max_weight, c.options);
  const Tensor x = c.x.to(test_device()), weight = c.weight.to(test_device());
  IntegerWeights kept;
  for (int times = 0; times < 2; ++times) {
    const Tensor got = integer_conv2d(x, 255, weight, c.max_weight, c.options, &kept);
    CHECK(got.device() == test_device());
    CHECK(got.to_vector<float>() == expected.to_vector<float>());
  }
}

TEST_CASE("groups too wide for the kernels of a device give the CPU's integers all the same") {
  const int64_t channels = 2700;  // 132,300 products as one group: tensor cores add 131,586
  const Tensor x = random_codes({1, 7, 7, channels}, 0, 255, 6);
  for (const int64_t most : {1, 7}) {
    CAPTURE(most);
    const Tensor weight = random_codes({channels, 7, 7, 1}, -most, most, 7);
    const Conv2dOptions options{.groups = channels};
    const Tensor expected = integer_conv2d(x, 255, weight, most, options);
    const PrecisionGuard guard(Precision::bf16);
    const Tensor got =
        integer_conv2d(x.to(test_device()), 255, weight.to(test_device()), most, options);
    CHECK(got.to_vector<float>() == expected.to_vector<float>());
  }
}

TEST_CASE("a grouped layer on a device has the CPU's codes, and keeps nothing there after") {
  Rng rng(1, RngPurpose::test);
  nn::ConvBn2d layer({.conv = {.in = 6, .out = 4, .kernel_size = {3, 3}, .groups = 2}}, rng);
  layer.conv().parametrize("weight", quant::quantizers().get("twn").make({}));
  const std::shared_ptr<quant::ActivationQuantizer> activation =
      quant::activation_quantizers().get("wrpn").make({.bits = 8});
  activation->attach(layer.conv().add_buffer("act_scale", activation->step().clone()));
  layer.set_activation(activation);
  layer.eval();
  const NoGrad no_grad;
  const Tensor x = random_codes({2, 5, 5, 6}, 0, 255, 5), step = Tensor::full({1}, 0.01);
  const Tensor expected = layer.forward({x, step, 255}).data;
  CHECK(expected.to_vector<float>() != std::vector<float>(size_t(expected.numel())));

  const size_t before = device_allocator(test_device()).use().live;
  layer.to(test_device());
  {
    const nn::Scaled there{x.to(test_device()), step.to(test_device()), 255};
    CHECK(layer.forward(there).data.to_vector<float>() == expected.to_vector<float>());
  }
  layer.to(Device{});
  CHECK(device_allocator(test_device()).use().live == before);
}
