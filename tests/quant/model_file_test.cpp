#include <catch2/catch.hpp>

#include <cmath>
#include <filesystem>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/core/autograd.h>
#include <apprentice/core/state.h>
#include <apprentice/quant/model_file.h>
#include <quant/quant_problems.h>
#include <support/temp_folder.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::test;
using quant::Policy;

namespace {

quant::LoadedModel load(const std::string& path, const std::string& arch = "") {
  return quant::load_model(
      path,
      [](const std::string& name, int64_t classes) {
        return make_model(name, {.classes = classes});
      },
      arch);
}

Tensor logits(nn::TensorModule& model) {
  NoGrad no_grad;
  return model.forward(random_images(3, 6, 16));
}

/// Saves a quantized resnet8, changes its state as `edit` does, and loads it.
template <class Edit>
void reload_edited(Edit&& edit) {
  const TempFolder folder;
  const Policy policy = make_policy("ttq", 2, "wrpn", 8);
  quant::save_model(folder / "m", *quantized_network("resnet8", policy), {"resnet8", policy, {}});
  State state = load_state(folder / "m");
  edit(state);
  save_state(folder / "m", state);
  load(folder / "m");
}

}  // namespace

TEST_CASE("model files: the network is made with as many classes as the file's classifier has") {
  const TempFolder folder;
  for (const char* arch : {"resnet8", "resnet18"}) {
    quant::save_model(folder / "m", *make_model(arch, {.classes = 3, .width = 1}), {arch, {}, {}});
    CHECK(load(folder / "m").model->forward(random_images(1, 6)).shape() == Shape{1, 3});
  }
}

TEST_CASE("model files: a quantized model comes back with its policy and the same logits") {
  for (const Policy& policy : {Policy(), make_policy("twn", 2), make_policy("ttq", 2, "wrpn", 8),
                               make_policy("wrpn", 4, "wrpn", 4)}) {
    CAPTURE(quant::summary(policy));
    const TempFolder folder;
    const auto model = quantized_network("resnet8", policy);
    quant::save_model(folder / "model.safetensors", *model,
                      {"resnet8 (a test)", policy, {{"note", "hello"}}});
    for (const std::string& path : {folder / "model.safetensors", folder.path()}) {
      const auto loaded = load(path);
      CHECK(loaded.kind == quant::FileKind::model);
      CHECK(loaded.info.arch == "resnet8 (a test)");
      CHECK(loaded.info.metadata == std::map<std::string, std::string>{{"note", "hello"}});
      CHECK(loaded.info.policy.quantizes() == policy.quantizes());
      if (policy.quantizes()) CHECK(to_json(loaded.info.policy) == to_json(policy));
      CHECK_FALSE(loaded.model->training());
      CHECK(same_bits(logits(*loaded.model), logits(*model)));
    }
  }
}

TEST_CASE("model files: the architecture can be given, and must be known") {
  const TempFolder folder;
  save_state(folder / "m", {make_model("resnet8")->state_dict(), {}});
  CHECK(throws<ConfigError>([&] { load(folder / "m"); }, "arch") == "");
  CHECK(load(folder / "m", "resnet8").info.arch == "resnet8");
  CHECK(throws<ConfigError>([&] { load(folder / "m", "resnet9"); }, "resnet9") == "");
}

TEST_CASE("model files: what is missing or does not fit is an error that names it") {
  const TempFolder folder;
  CHECK(throws<MissingInput>([&] { load(folder / "absent"); }, "absent") == "");
  CHECK(throws<MissingInput>([&] { load(folder.path()); }, "model.safetensors") == "");
  save_state(folder / "m", {make_model("resnet14")->state_dict(), {{"arch", "resnet8"}}});
  CHECK(throws<DamagedFile>([&] { load(folder / "m"); }, "layer1.1") == "");
  write_file_durably(folder / "short", std::string_view("12345"));
  CHECK(throws<DamagedFile>([&] { load(folder / "short"); }, "short") == "");
  State wide{make_model("resnet8")->state_dict(), {{"arch", "resnet8"}}};
  wide.tensors["bn1.bias"] = Tensor::zeros({17});
  save_state(folder / "wide", wide);
  CHECK(throws<DamagedFile>([&] { load(folder / "wide"); }, "bn1.bias", "[17]", "[16]") == "");
}

TEST_CASE("model files: a damaged quantizer state is an error that names the tensor") {
  const auto set = [](const char* name, double value) {
    return [=](State& state) { state.tensors.at(name) = Tensor::full({1}, value); };
  };
  CHECK_NOTHROW(reload_edited(set("layer1.0.conv1.act_scale", 0.5)));
  for (double step : {0.0, -1.0, double(NAN)})
    CHECK(throws<DamagedFile>([&] { reload_edited(set("layer1.0.conv1.act_scale", step)); },
                              "layer1.0.conv1.act_scale", "positive") == "");
  CHECK(throws<DamagedFile>(
            [] {
              reload_edited(
                  [](State& state) { state.tensors.erase("layer2.0.conv1.weight_scale"); });
            },
            "missing", "layer2.0.conv1.weight_scale") == "");
  CHECK(throws<DamagedFile>([] {
          reload_edited([](State& state) { state.metadata["apprentice.quant"] = "{"; });
        }) == "");
  CHECK(throws<DamagedFile>(
            [] {
              reload_edited([](State& state) {
                state.metadata["apprentice.quant"] = R"({"weights":"none","w":1})";
              });
            },
            "unknown key 'w'") == "");
}

TEST_CASE("model files: weights that are not finite are never saved") {
  const TempFolder folder;
  const auto model = make_model("resnet8");
  quant::layers(*model)[2].module->parameter("weight").fill(NAN);
  CHECK(throws<CheckFailed>(
            [&] {
              quant::save_model(folder / "m", *model, {"resnet8", {}, {}});
            },
            "layer1.0.conv2.weight", "finite") == "");
  CHECK(folder.names().empty());
}

TEST_CASE("model files: a packed network is told from a model") {
  const TempFolder folder;
  const Policy policy = make_policy("twn", 2, "wrpn", 8);
  const auto model = quantized_network("resnet8", policy);
  quant::save_model(folder / "model", *model, {"resnet8", policy, {}});
  quant::pack(*model, {"resnet8", policy, {}}, folder / "packed");
  CHECK(quant::file_kind(folder / "model") == quant::FileKind::model);
  CHECK(quant::file_kind(folder / "packed") == quant::FileKind::packed);
  CHECK(throws<ConfigError>([&] { load(folder / "packed"); }, "packed network") == "");
}
