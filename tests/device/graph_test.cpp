#include <apprentice/base/graph.h>

#include <catch2/catch.hpp>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/activation.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/linear.h>
#include <apprentice/core/ops/reduce.h>

#include "test_device.h"

using namespace apprentice;

TEST_CASE("a recorded forward and backward computes anew, bit for bit as without recording") {
  const Device device = test_device();
  Rng rng(3, RngPurpose::test);
  const Tensor w = Tensor::normal({5, 7}, 0, 1, rng), x = Tensor::normal({4, 7}, 0, 1, rng),
               next = Tensor::normal({4, 7}, 0, 1, rng);
  const auto step = [](const Tensor& weight, const Tensor& input) {
    const Tensor loss = mean(relu(linear(input, weight)) * 3.0);
    loss.backward();
    return loss;
  };
  // Algorithms of products are chosen when they are first met: here, since a recording times none.
  step(w.to(device).set_requires_grad(), x.to(device));
  Tensor weight = w.to(device).set_requires_grad(), input = x.to(device), loss;
  const Graph graph(device, [&] { loss = step(weight, input); });
  const Tensor recorded_gradient = weight.grad();
  for (const Tensor& values : {x, next, x}) {
    input.copy_from(values.to(device));
    graph.launch(current_stream(device));
    Tensor plain = w.to(device).set_requires_grad();
    const Tensor expected = step(plain, values.to(device));
    CHECK(loss.to_vector<float>() == expected.to_vector<float>());
    CHECK(recorded_gradient.to_vector<float>() == plain.grad().to_vector<float>());
  }
}

TEST_CASE("a step that reads a value on the host cannot be recorded") {
  const Device device = test_device();
  const Tensor x = Tensor::full({3}, 1).to(device);
  CHECK_THROWS_AS(Graph(device, [&] { sum(x).item(); }), DeviceError);
}
