#include <catch2/catch.hpp>

#include <apprentice/base/files.h>
#include <apprentice/core/state.h>
#include <apprentice/distill/run.h>

#include "distill/tiny.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

namespace {

RunOptions into(const std::string& output) {
  RunOptions options;
  options.trainer.output = output;
  options.make_model = narrow();
  return options;
}

std::string last(const std::string& run) { return run + "/checkpoints/last"; }

/// A teacher that has learned something, trained once for all cases.
struct Fixture {
  TempFolder folder;
  Recipe teacher;
  TrainResult teacher_result;

  Fixture() {
    add_colours();
    teacher.model.arch = "resnet8";
    teacher.data.name = "colours:400";
    teacher.data.test_images = 200;
    teacher.train.epochs = 3;
    teacher.train.batch = 20;
    teacher_result = run_recipe(teacher, into(folder / "teacher"));
  }
  /// A short scheme C run from the teacher's weights.
  Recipe apprentice() const {
    Recipe recipe = teacher;
    recipe.model.init = recipe.teacher.weights = last(folder.path() + "/teacher");
    recipe.quant.weights = "twn";
    recipe.quant.activations = "wrpn";
    recipe.quant.calibration_images = 128;
    recipe.distill.method = "apprentice";
    recipe.train.epochs = 1;
    recipe.train.lr = 0.02;
    return recipe;
  }
};

Fixture& fixture() {
  static Fixture one;
  return one;
}

std::string weights(const std::string& run) { return read_file(last(run) + "/model.safetensors"); }

}  // namespace

TEST_CASE("a small network learns, and its ternary apprentice keeps what it knows") {
  Fixture& f = fixture();
  // Chance is 10 %; 200 images have a standard error of 2.1 points there.
  CHECK(f.teacher_result.test.top1 > 30);
  const TrainResult result = run_recipe(f.apprentice(), into(f.folder / "ternary"));
  CHECK(result.test.top1 > 30);
  const State state = load_state(last(f.folder / "ternary") + "/model.safetensors");
  CHECK(state.metadata.at("arch") == "resnet8");
  CHECK(state.metadata.at("apprentice.quant").find("twn") != std::string::npos);
  CHECK(state.tensors.count("layer1.0.conv1.act_scale") == 1);
  // Calibrated: the range of a scratch run would be 1, the step 1/255.
  CHECK(state.tensors.at("layer1.0.conv1.act_scale").item() != Approx(1.0 / 255));
}

TEST_CASE("a run with stored logits equals one with its teacher online, bit for bit") {
  Fixture& f = fixture();
  Recipe recipe = f.apprentice();
  recipe.data.name = "colours:200";
  run_recipe(recipe, into(f.folder / "online"));
  store_logits(recipe, into(""), f.folder / "logits");
  recipe.teacher.logits = f.folder / "logits";
  run_recipe(recipe, into(f.folder / "stored"));
  CHECK(weights(f.folder / "stored") == weights(f.folder / "online"));

  recipe.train.seed = 1;
  CHECK(throws<ConfigError>([&] { run_recipe(recipe, into(f.folder / "other")); }, "seed") == "");
}

TEST_CASE("a control run differs from the distilled one in the teacher's term alone") {
  Fixture& f = fixture();
  Recipe recipe = f.apprentice();
  recipe.data.name = "colours:200";
  run_recipe(recipe, into(f.folder / "distilled"));
  recipe.distill.gamma = 0;
  run_recipe(recipe, into(f.folder / "no-gamma"));
  recipe.distill.gamma = 0.5;
  recipe.distill.control = true;
  run_recipe(recipe, into(f.folder / "control"));
  CHECK(weights(f.folder / "control") == weights(f.folder / "no-gamma"));
  CHECK(weights(f.folder / "control") != weights(f.folder / "distilled"));
}

TEST_CASE("a stopped quantized run goes on bit for bit through its recipe") {
  Fixture& f = fixture();
  Recipe recipe = f.apprentice();
  recipe.data.name = "colours:200";
  recipe.quant.weights = "wrpn";
  recipe.quant.w_bits = 4;
  run_recipe(recipe, into(f.folder / "whole"));
  RunOptions options = into(f.folder / "halves");
  int64_t done = 0;
  options.trainer.listener.on_progress = [&](const Progress& p) { done = p.step; };
  options.trainer.stop_requested = [&]() -> std::string { return done == 2 ? "stop" : ""; };
  CHECK(throws<Stopped>([&] { run_recipe(recipe, options); }, "step 2") == "");
  options.trainer.stop_requested = nullptr;
  options.trainer.resume = true;
  run_recipe(recipe, options);
  CHECK(weights(f.folder / "halves") == weights(f.folder / "whole"));
}

TEST_CASE("a run that cannot be leaves no folder behind") {
  Fixture& f = fixture();
  const auto refused = [&](const Recipe& recipe) {
    RunOptions options = into(f.folder / "refused");
    return [recipe, options] { run_recipe(recipe, options); };
  };
  Recipe recipe = f.apprentice();
  recipe.teacher.weights = "no_such_teacher";
  CHECK(throws<MissingInput>(refused(recipe), "no_such_teacher") == "");
  recipe = f.apprentice();
  recipe.model.init = "no_such_start";
  CHECK(throws<MissingInput>(refused(recipe), "no_such_start") == "");
  recipe = f.apprentice();
  recipe.data.name = "no_such_set";
  CHECK(throws<MissingInput>(refused(recipe), "no_such_set") == "");
  recipe = f.apprentice();
  recipe.model.arch = "resnet9";
  CHECK(throws<ConfigError>(refused(recipe), "resnet9") == "");
  recipe = f.apprentice();
  recipe.model.arch = "resnet14";
  CHECK(throws<DamagedFile>(refused(recipe), "layer1.1.") == "");
  recipe = f.apprentice();
  recipe.quant.keep = {"conv1", "linaer"};
  CHECK(throws<ConfigError>(refused(recipe), "linaer") == "");
  CHECK_FALSE(std::filesystem::exists(f.folder / "refused"));

  CHECK(throws<CannotCreate>([&] { run_recipe(f.apprentice(), into(f.folder / "teacher")); },
                             "teacher") == "");
}
