#include <catch2/catch.hpp>

#include <apprentice/core/autograd.h>
#include <apprentice/core/ops/arithmetic.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/core/ops/reduce.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/report.h>
#include <apprentice/quant/verify.h>
#include <quant/quant_problems.h>
#include <support/allclose.h>
#include <support/golden.h>
#include <support/temp_folder.h>

using namespace apprentice;
using namespace apprentice::test;

namespace {

/// A published network, or null where it is absent.
std::shared_ptr<nn::TensorModule> published(const std::string& name) {
  const auto path = data_file("models/cifar10/" + name + ".safetensors");
  if (!path) return nullptr;
  return quant::load_model(*path, [](const std::string& arch, int64_t) { return make_model(arch); })
      .model;
}

Tensor logits_of(nn::TensorModule& model, const Tensor& x) {
  NoGrad no_grad;
  return model.forward(x);
}

}  // namespace

TEST_CASE("the golden ternary distillation step: weights, losses and all gradients") {
  const auto path = golden_file("resnet20_twn_kd_step.safetensors");
  const auto model = published("resnet20");
  if (!path || !model) return;
  const Golden golden(*path);
  quant::prepare(*model, make_policy("twn", 2));
  for (const quant::Layer& layer : quant::layers(*model))
    if (layer.weights()) {
      CAPTURE(layer.name);
      const Tensor wq = nn::real(layer.module->effective("weight")).detach();
      CHECK(allclose(wq, golden.get("wq." + layer.name), 0, 0x1p-22) == "");
    }
  model->train();
  const Tensor z = model->forward(golden.get("input"));
  const Tensor ce = cross_entropy(z, golden.get("labels"));
  const Tensor kd = kl_divergence(z, golden.get("teacher_logits"), 4) * 16;
  const Tensor loss = ce * 0.3 + kd * 0.7;
  loss.backward();
  // Tolerances of the golden values' own f32 against f64 arithmetic.
  CHECK(allclose(z, golden.get("student_logits"), 1e-4) == "");
  CHECK(ce.item() == Approx(golden.get("ce").item()).epsilon(1e-5));
  CHECK(kd.item() == Approx(golden.get("kd").item()).epsilon(1e-5));
  CHECK(loss.item() == Approx(golden.get("loss").item()).epsilon(1e-5));
  for (const auto& [name, parameter] : model->named_parameters()) {
    CAPTURE(name);
    CHECK(relative_error(parameter.grad(), golden.get("grad." + name)) <= 5e-3);
  }
}

TEST_CASE("the rescale of wrpn weights leaves the logits of a trained network within 1e-4") {
  const auto path = golden_file("resnet20_jpeg_logits.safetensors");
  const auto model = published("resnet20_jpeg");
  if (!path || !model) return;
  const Golden golden(*path);
  quant::prepare(*model, make_policy("wrpn", 4));
  for (const quant::Layer& layer : quant::layers(*model))
    layer.module->parametrize("weight", nullptr);
  CHECK(allclose(logits_of(*model, golden.get("input")), golden.get("logits"), 1e-4) == "");
}

TEST_CASE("a trained network, quantized without training, is packed and verified on real images") {
  const auto path = golden_file("resnet20_jpeg_logits.safetensors");
  if (!path || !published("resnet20_jpeg")) return;
  const Tensor x = Golden(*path).get("input");
  for (const auto& policy :
       {make_policy("twn", 2, "wrpn", 8), make_policy("ttq", 2, "wrpn", 8),
        make_policy("wrpn", 4, "wrpn", 8), make_policy("wrpn", 4, "wrpn", 4)}) {
    CAPTURE(quant::summary(policy));
    const auto model = published("resnet20_jpeg");
    quant::prepare(*model, policy);
    quant::calibrate(*model, {x});
    const TempFolder folder;
    quant::pack(*model, {"resnet20", policy, {}}, folder / "packed");
    const auto report = quant::verify(*model, folder / "packed", [x, given = false]() mutable {
      return std::exchange(given, true) ? Tensor() : x;
    });
    CHECK(report.difference == "");
    CHECK(report.passed);
    CHECK(report.images == 64);
  }
}

TEST_CASE("8-bit activations with a calibrated range keep the predictions of a trained network") {
  const auto path = golden_file("resnet20_jpeg_logits.safetensors");
  const auto model = published("resnet20_jpeg");
  if (!path || !model) return;
  const Golden golden(*path);
  const Tensor x = golden.get("input");
  quant::prepare(*model, make_policy("none", 2, "wrpn", 8));
  quant::calibrate(*model, {x});
  const auto got = argmax(logits_of(*model, x), 1).to_vector<int64_t>();
  const auto expected = argmax(golden.get("logits"), 1).to_vector<int64_t>();
  int64_t equal = 0;
  for (size_t i = 0; i < got.size(); ++i) equal += got[i] == expected[i];
  // Measured on 3,000 images, 8 bits cost 0.2 points; four of 64 is 30 times that.
  CHECK(equal >= 60);
}
