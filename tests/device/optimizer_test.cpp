#include <catch2/catch.hpp>

#include <functional>
#include <memory>

#include <apprentice/base/graph.h>
#include <apprentice/core/tensor.h>
#include <apprentice/nn/optimizer.h>
#include <device/test_device.h>

using namespace apprentice;

namespace {

using Maker = std::function<std::unique_ptr<nn::Optimizer>(std::vector<nn::ParameterGroup>)>;

std::unique_ptr<nn::Optimizer> sgd(std::vector<nn::ParameterGroup> groups) {
  return std::make_unique<nn::Sgd>(std::move(groups),
                                   nn::Sgd::Options{.momentum = 0.9, .nesterov = true});
}
std::unique_ptr<nn::Optimizer> adam(std::vector<nn::ParameterGroup> groups) {
  return std::make_unique<nn::Adam>(std::move(groups), nn::Adam::Options{.decoupled = true});
}

/// Two groups of parameters on a device and their optimizer.
struct Trained {
  Tensor a, b, idle;
  std::unique_ptr<nn::Optimizer> optimizer;

  Trained(const Maker& make, Device device) {
    Rng rng(3);
    for (Tensor* p : {&a, &b, &idle}) {
      *p = Tensor::uniform({7, 5}, -1, 1, rng).to(device).clone();
      p->set_requires_grad();
    }
    optimizer = make({{.parameters = {{"a", a}, {"idle", idle}}, .weight_decay = 0.1},
                      {.parameters = {{"b", b}}, .lr_scale = 1 / 3.0}});
  }
  void set_gradients(unsigned seed) {
    Rng rng(seed);
    for (Tensor* p : {&a, &b}) p->set_grad(Tensor::uniform({7, 5}, -1, 1, rng).to(p->device()));
  }
  void step(double lr, unsigned seed) {
    set_gradients(seed);
    optimizer->step(lr);
  }
};

}  // namespace

TEST_CASE("an optimizer moves parameters on a device to the same bits as on the CPU") {
  const Maker make = GENERATE(Maker(sgd), Maker(adam));
  const Device device = test_device();
  Trained here(make, {}), there(make, device);
  for (unsigned i = 0; i < 3; ++i) {
    here.step(0.1 / (i + 1), i);
    there.step(0.1 / (i + 1), i);
    // Saved and loaded across devices on the way.
    if (i == 1) there.optimizer->load_state(here.optimizer->state());
  }
  CHECK(there.a.device() == device);
  CHECK(there.a.to_vector<float>() == here.a.to_vector<float>());
  CHECK(there.b.to_vector<float>() == here.b.to_vector<float>());
  CHECK(there.idle.to_vector<float>() == here.idle.to_vector<float>());
  for (const auto& [name, tensor] : here.optimizer->state())
    CHECK(there.optimizer->state().at(name).to_vector<float>() == tensor.to_vector<float>());
}

TEST_CASE("a step does nothing where the count that it is told of is not 0") {
  const Device device = GENERATE(Device{}, test_device());
  Trained trained(GENERATE(Maker(sgd), Maker(adam)), device);
  Tensor bad = Tensor::zeros({1}, Dtype::i64).to(device);
  trained.optimizer->skip_where(bad);
  const auto before = trained.a.to_vector<float>();
  bad.fill(2);
  trained.step(0.1, 1);
  CHECK(trained.a.to_vector<float>() == before);
  bad.fill(0);
  trained.step(0.1, 1);
  CHECK(trained.a.to_vector<float>() != before);
}

TEST_CASE("an optimizer refuses parameters of two devices") {
  Tensor a = Tensor::zeros({1}), b = Tensor::zeros({1}).to(test_device());
  nn::Sgd optimizer({{.parameters = {{"a", a}, {"b", b}}}}, {});
  CHECK_THROWS_WITH(optimizer.step(1), "optimizer: parameter b is on " + test_device().str() +
                                           ", expected cpu as the others are");
}

TEST_CASE("a step that is recorded once follows learning rate and step number when launched") {
  const Maker make = GENERATE(Maker(sgd), Maker(adam));
  const Device device = test_device();
  Trained here(make, {}), there(make, device);
  there.set_gradients(7);
  CHECK_THROWS_WITH(there.optimizer->apply_step(),
                    "optimizer: apply_step() comes after prepare_step()");
  there.optimizer->prepare_step(0.1);
  const Graph graph(device, [&] { there.optimizer->apply_step(); });
  graph.launch(current_stream(device));
  here.step(0.1, 7);
  for (const double lr : {0.05, 0.2}) {
    there.optimizer->prepare_step(lr);
    graph.launch(current_stream(device));
    here.step(lr, 7);
  }
  CHECK(there.a.to_vector<float>() == here.a.to_vector<float>());
  CHECK(there.b.to_vector<float>() == here.b.to_vector<float>());
}
