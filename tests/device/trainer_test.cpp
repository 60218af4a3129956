#include <catch2/catch.hpp>

#include <filesystem>
#include <limits>
#include <regex>
#include <sstream>

#include <apprentice/base/files.h>
#include <apprentice/core/state.h>
#include <apprentice/distill/trainer.h>
#include <apprentice/quant/prepare.h>

#include <device/test_device.h>
#include <distill/tiny_parts.h>
#include <support/temp_folder.h>
#include <support/throws.h>

using namespace apprentice;
using namespace apprentice::distill;
using test::TempFolder;

namespace {

/// A ternary ResNet-8 of a quarter of the width under a frozen teacher of random weights: three
/// steps an epoch.
Recipe tiny_recipe() {
  Recipe recipe;
  recipe.model.arch = "resnet8";
  recipe.teacher.weights = "given";
  recipe.data.name = "colours";
  recipe.quant.weights = "twn";
  recipe.quant.activations = "wrpn";
  recipe.distill.method = "apprentice";
  recipe.distill.scheme = "B";
  recipe.train.epochs = 1;
  recipe.train.batch = 4;
  recipe.train.eval_batch = 4;
  recipe.train.log_every = 100;
  recipe.train.workers = 0;
  return recipe;
}

TrainerParts parts_of(const Recipe& recipe) { return test::parts_of(recipe, 12, 4); }

TrainerOptions into(const std::string& output) {
  TrainerOptions options;
  options.output = output;
  options.device = test_device();
  return options;
}

/// The lines of training and evaluation without times and rates.
std::string timeless_log(const std::string& run) {
  std::istringstream log(read_file(run + "/log.jsonl"));
  std::string lines, line;
  while (std::getline(log, line))
    if (std::regex_search(line, std::regex("\"event\":\"(train|eval|quant|warning)\"")))
      lines += std::regex_replace(line, std::regex("\"(ts|images_per_s)\":[^,}]*"), "") + "\n";
  return lines;
}

std::string last(const std::string& run, const char* name) {
  return run + "/checkpoints/last/" + name;
}

}  // namespace

TEST_CASE("a run on a device that is stopped and resumed is the one that never was, bit for bit") {
  const TempFolder folder;
  const Recipe recipe = tiny_recipe();
  const TrainResult whole = train(parts_of(recipe), into(folder / "whole"));
  CHECK(whole.steps == 3);

  TrainerOptions options = into(folder / "parts");
  int64_t done = 0;
  options.listener.on_progress = [&](const Progress& p) {
    if (std::string_view(p.phase) == "train") done = p.step;
  };
  options.stop_requested = [&]() -> std::string { return done == 2 ? "enough" : ""; };
  CHECK_THROWS_AS(train(parts_of(recipe), options), Stopped);
  TrainerOptions resume = into(folder / "parts");
  resume.resume = true;
  const TrainResult parts = train(parts_of(recipe), resume);
  CHECK(parts.steps == 3);
  CHECK(timeless_log(folder / "parts") == timeless_log(folder / "whole"));
  for (const char* name : {"model.safetensors", "optimizer.safetensors"})
    CHECK(bool(read_file(last(folder / "parts", name)) == read_file(last(folder / "whole", name))));

  // What was saved goes on where there is no such device.
  TrainerOptions here = into(folder / "whole");
  here.device = {};
  here.resume = true;
  CHECK(train(parts_of(recipe), here).test.correct == whole.test.correct);
}

TEST_CASE("between two lines of the log no step waits for its device", "[emulated]") {
  const TempFolder folder;
  std::vector<int64_t> waits;
  TrainerOptions options = into(folder / "run");
  options.listener.on_progress = [&](const Progress& p) {
    if (std::string_view(p.phase) == "train") waits.push_back(emulated_waits());
  };
  train(parts_of(tiny_recipe()), options);
  REQUIRE(waits.size() == 3);
  CHECK(waits[1] == waits[0]);
  CHECK(waits[2] == waits[0]);
  CHECK(emulated_waits() > waits[2]);  // for the line at the end of the epoch
}

TEST_CASE("a loss that is no number on a device ends the run at the next line, and is not saved") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.train.lr = 1e30;
  recipe.train.schedule = "constant";
  const std::string message = test::throws<CheckFailed>(
      [&] { train(parts_of(recipe), into(folder / "run")); }, "there is no checkpoint yet");
  CHECK(message == "");
  CHECK(std::filesystem::is_empty(folder / "run/checkpoints"));
}

TEST_CASE("a gradient that is no number on a device moves no weight, and the next line names it") {
  const TempFolder folder;
  const TrainerParts parts = parts_of(tiny_recipe());
  Tensor weight = parts.student->parameters().front();
  int64_t steps = 0;
  std::vector<float> before;
  weight.on_grad_ready([&](Tensor& parameter) {
    if (++steps != 2) return;
    before = parameter.to_vector<float>();
    Tensor grad = parameter.grad();
    grad.fill(std::numeric_limits<double>::quiet_NaN());
  });
  const std::string message = test::throws<CheckFailed>(
      [&] { train(parts, into(folder / "run")); },
      "steps 0 to 2 (epoch 0): the gradient of student's conv1.weight is not finite");
  CHECK(message == "");
  CHECK(steps == 3);
  CHECK(bool(weight.to_vector<float>() == before));
  CHECK(std::filesystem::is_empty(folder / "run/checkpoints"));
}
