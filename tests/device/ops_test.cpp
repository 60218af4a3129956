#include <catch2/catch.hpp>

#include <cmath>

#include <apprentice/base/error.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/op_samples.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/reduce.h>
#include <device/distance.h>
#include <device/test_device.h>

using namespace apprentice;
using test::distance;

namespace {

/// y and the gradients of sum(y * fixed weights) of one sample with its inputs on `device`.
std::vector<Tensor> results(const OpSample& sample, Device device) {
  std::vector<Tensor> inputs;
  for (const Tensor& input : sample.inputs) {
    Tensor leaf = input.to(device).clone();
    inputs.push_back(leaf.set_requires_grad(input.dtype() == Dtype::f32));
  }
  const Tensor y = sample.run(inputs);
  std::vector<Tensor> all{y.detach()};
  if (y.requires_grad()) {
    std::vector<float> weights(size_t(y.numel()));
    for (size_t i = 0; i < weights.size(); ++i) weights[i] = float(i % 7) / 4 - 0.5f;
    y.backward(Tensor::from(weights, y.shape()).to(device));
    for (const Tensor& input : inputs)
      if (input.grad()) all.push_back(input.grad());
  }
  return all;
}

}  // namespace

TEST_CASE("every operation gives on a device what it gives on the CPU, gradients too") {
  const Device device = test_device();
  for (const std::string& name : op_samples().names()) {
    Rng rng(7);
    for (const OpSample& sample : op_samples().get(name)(rng)) {
      CAPTURE(name, sample.name);
      const auto expected = results(sample, {}), got = results(sample, device);
      REQUIRE(got.size() == expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        CHECK(got[i].device() == device);
        // Sums of at most some hundred terms, each rounded a few times, in any order.
        CHECK(distance(got[i], expected[i]) <= 1000 * 0x1p-24);
      }
    }
  }
}

TEST_CASE("tensors of two devices do not mix, and the host does not read a device's memory") {
  const Device device = test_device();
  const Tensor here = Tensor::full({3}, 1), there = here.to(device);
  CHECK_THROWS_WITH(here + there,
                    "add: tensors on cpu and " + device.str() + ", expected one device");
  CHECK_THROWS_WITH(there.data<float>(),
                    "tensor: on " + device.str() + " and read on the host; use to(Device)");
  CHECK((there + there).to_vector<float>() == std::vector<float>{2, 2, 2});
}

TEST_CASE("a label outside of the classes makes a loss on a device NaN") {
  const Device device = test_device();
  const Tensor logits = Tensor::zeros({2, 3}).to(device);
  const auto loss = [&](int64_t label) {
    return cross_entropy(logits, Tensor::from(std::vector<int64_t>{1, label}, {2}).to(device));
  };
  CHECK(std::isnan(loss(3).item()));
  CHECK(std::isnan(loss(-1).item()));
  CHECK(loss(2).item() == Approx(std::log(3.0)));
}
