#include <catch2/catch.hpp>

#include <support/gradcheck.h>

#include <apprentice/core/op_samples.h>

using namespace apprentice;

namespace {

/// The inputs with every f32 one made `dtype`.
std::vector<Tensor> converted(const std::vector<Tensor>& inputs, Dtype dtype) {
  std::vector<Tensor> result;
  for (const Tensor& t : inputs)
    result.push_back(t.dtype() == Dtype::f32 ? t.to(dtype).clone() : t);
  return result;
}

std::vector<OpSample> samples_of(const std::string& op) {
  Rng rng(7, RngPurpose::test);
  return op_samples().get(op)(rng);
}

}  // namespace

TEST_CASE("every operation has samples") {
  REQUIRE(op_samples().names().size() >= 40);
  for (const std::string& op : op_samples().names()) {
    CAPTURE(op);
    CHECK_FALSE(samples_of(op).empty());
  }
}

TEST_CASE("every operation gives the shape and dtype it states, in f32 and f64") {
  for (const std::string& op : op_samples().names()) {
    for (const OpSample& sample : samples_of(op)) {
      CAPTURE(op, sample.name);
      for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
        const Tensor y = sample.run(converted(sample.inputs, dtype));
        CHECK(y.shape().str() == sample.y.str());
        CHECK(y.dtype() == dtype);
        CHECK_FALSE(y.requires_grad());
      }
    }
  }
}

TEST_CASE("every operation is the same in f32 as in f64, within its rounding") {
  for (const std::string& op : op_samples().names()) {
    for (const OpSample& sample : samples_of(op)) {
      CAPTURE(op, sample.name);
      const auto y32 = sample.run(converted(sample.inputs, Dtype::f32)).to_vector<double>();
      const auto y64 = sample.run(converted(sample.inputs, Dtype::f64)).to_vector<double>();
      REQUIRE(y32.size() == y64.size());
      // Sums of at most 60 terms of size up to about 10, with cancellation: 60 * 10 * 2^-24 = 4e-5.
      for (size_t i = 0; i < y32.size(); ++i)
        CHECK(y32[i] == Approx(y64[i]).margin(4e-5).epsilon(4e-5));
    }
  }
}

TEST_CASE("the gradient of every operation is the derivative, by every input") {
  for (const std::string& op : op_samples().names()) {
    for (const OpSample& sample : samples_of(op)) {
      if (sample.surrogate) continue;
      CAPTURE(op, sample.name);
      CHECK(test::gradcheck(sample.run, converted(sample.inputs, Dtype::f64)) == "");
    }
  }
}

TEST_CASE("every operation leaves out the gradients that nobody wants") {
  for (const std::string& op : op_samples().names()) {
    for (const OpSample& sample : samples_of(op)) {
      for (size_t wanted = 0; wanted < sample.inputs.size(); ++wanted) {
        CAPTURE(op, sample.name, wanted);
        std::vector<Tensor> inputs = converted(sample.inputs, Dtype::f64);
        inputs[wanted].set_requires_grad();
        const Tensor y = sample.run(inputs);
        REQUIRE(y.requires_grad());
        y.backward(Tensor::full(y.shape(), 1, Dtype::f64));
        for (size_t i = 0; i < inputs.size(); ++i)
          CHECK(inputs[i].grad().defined() == (i == wanted));
      }
    }
  }
}

TEST_CASE("no operation keeps its input's or its result's memory for nothing") {
  // A node that held its own result would keep itself alive for ever.
  for (const std::string& op : op_samples().names()) {
    for (const OpSample& sample : samples_of(op)) {
      CAPTURE(op, sample.name);
      std::vector<Tensor> inputs = converted(sample.inputs, Dtype::f32);
      for (Tensor& t : inputs) t.set_requires_grad();
      // The first run may leave a library's workspace behind.
      { const Tensor y = sample.run(inputs); }
      const size_t before = memory_use().live;
      { const Tensor y = sample.run(inputs); }
      CHECK(memory_use().live == before);
    }
  }
}
