#include <catch2/catch.hpp>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <limits>
#include <regex>
#include <sstream>

#include <apprentice/base/files.h>
#include <apprentice/core/state.h>
#include <apprentice/distill/checkpoint.h>
#include <apprentice/distill/resume.h>
#include <apprentice/distill/trainer.h>
#include <apprentice/quant/model_file.h>
#include <apprentice/quant/prepare.h>

#include "distill/tiny_parts.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

namespace {

constexpr int64_t kImages = 80;

/// A ternary ResNet-8 of a quarter of the width, under a frozen teacher of random weights.
Recipe tiny_recipe() {
  Recipe recipe;
  recipe.model.arch = "resnet8";
  recipe.teacher.weights = "given";
  recipe.data.name = "colours";
  recipe.quant.weights = "ttq";
  recipe.quant.activations = "wrpn";
  recipe.distill.method = "apprentice";
  recipe.distill.scheme = "B";
  recipe.train.epochs = 2;
  recipe.train.batch = 16;
  recipe.train.log_every = 3;
  recipe.train.workers = 2;
  return recipe;
}

TrainerParts parts_of(const Recipe& recipe) { return test::parts_of(recipe, kImages, 40); }

TrainerOptions into(const std::string& output, bool resume = false) {
  TrainerOptions options;
  options.output = output;
  options.resume = resume;
  return options;
}

/// Asks to stop once the run has done `steps` steps.
TrainerOptions stopping_after(TrainerOptions options, int64_t steps) {
  const auto done = std::make_shared<int64_t>(0);
  options.listener.on_progress = [done](const Progress& p) {
    if (std::string(p.phase) == "train") *done = p.step;
  };
  options.stop_requested = [done, steps]() -> std::string {
    return *done >= steps ? "enough" : "";
  };
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

std::string last(const std::string& run) { return run + "/checkpoints/last"; }

bool same_files(const std::string& a, const std::string& b) {
  for (const char* name : {"model.safetensors", "optimizer.safetensors"})
    if (read_file(last(a) + "/" + name) != read_file(last(b) + "/" + name)) return false;
  return true;
}

/// Gives NaN from the step on that it is told.
class Poisoned final : public nn::TensorModule {
 public:
  Poisoned(std::shared_ptr<nn::TensorModule> inner, int64_t good_forwards)
      : inner_(add_module("", std::move(inner))), left_(good_forwards) {}
  Tensor forward(const Tensor& x) override {
    const Tensor y = inner_->forward(x);
    if (!training() || left_-- > 0) return y;
    Tensor bad = y.clone();
    bad.fill(std::numeric_limits<float>::quiet_NaN());
    return bad;
  }

 private:
  std::shared_ptr<nn::TensorModule> inner_;
  int64_t left_;
};

}  // namespace

TEST_CASE("a run leaves its recipe, logs, checkpoints and result") {
  const TempFolder folder;
  const Recipe recipe = tiny_recipe();
  const std::string run = folder / "run";
  TrainerParts parts = parts_of(recipe);
  data::ImageSet damaged = *parts.train;
  damaged.bad = {.count = 1, .names = {"cat/7.jpg: torn"}};
  parts.train = std::make_shared<const data::ImageSet>(damaged);
  const TrainResult result = train(parts, into(run));
  CHECK(result.steps == 10);
  CHECK(result.test.images == 40);
  CHECK(to_toml(load_recipe(run + "/recipe.toml")) == to_toml(recipe));
  const std::string summary = read_file(run + "/summary.csv");
  CHECK(std::count(summary.begin(), summary.end(), '\n') == 3);
  // Lines after steps 3, 5 (end of the epoch), 6, 9, 10; two evaluations; three of the quantizers
  // (learning rates at the start, health after each epoch); the warning of the damaged image.
  const std::string log = timeless_log(run);
  CHECK(std::count(log.begin(), log.end(), '\n') == 11);
  const std::string events = read_file(run + "/log.jsonl");
  CHECK(events.find("\"layer1.0.conv1.zeros\":0.") != std::string::npos);
  CHECK(events.find("\"layer1.0.conv1.flips\":0.") != std::string::npos);
  CHECK(events.find("\"layer1.0.conv1.weight.lr_scale\":") != std::string::npos);
  CHECK(events.find("cat/7.jpg: torn") != std::string::npos);
  CHECK(verify_checkpoint(last(run)).step == 10);
  CHECK(verify_checkpoint(run + "/checkpoints/best").best_top1 == result.best_top1);

  const auto make = [](const std::string& arch, int64_t classes) {
    return narrow()(arch, classes, 9);
  };
  const quant::LoadedModel loaded = quant::load_model(last(run), make);
  CHECK(loaded.info.arch == "resnet8");
  CHECK(evaluate(*loaded.model, *colours("test", 40)).top1 == result.test.top1);
  CHECK(throws<CannotCreate>([&] { train(parts_of(recipe), into(run)); }, run) == "");
}

TEST_CASE("a run that is stopped and resumed equals one that is not, bit for bit") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  const std::string whole = folder / "whole", parts = folder / "parts";
  train(parts_of(recipe), into(whole));

  // Within an epoch, between log lines; at the end of the epoch, before its evaluation.
  const int64_t stop = GENERATE(4, 5, 7);
  CAPTURE(stop);
  CHECK(throws<Stopped>([&] { train(parts_of(recipe), stopping_after(into(parts), stop)); },
                        "enough at step", "checkpoints/step-") == "");
  CHECK(verify_checkpoint(last(parts)).step == stop);
  CHECK_FALSE(same_files(whole, parts));
  recipe.train.workers = 0;  // how it runs may change
  const TrainResult result = train(parts_of(recipe), into(parts, true));
  CHECK(same_files(whole, parts));
  CHECK(timeless_log(parts) == timeless_log(whole));
  CHECK(result.steps == 10);
}

TEST_CASE("a killed run goes on from its last checkpoint, and its log has no line twice") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.train.checkpoint_every = 2;
  const std::string whole = folder / "whole", killed = folder / "killed";
  train(parts_of(recipe), into(whole));
  struct Killed {};
  TrainerOptions options = into(killed);
  options.listener.on_progress = [](const Progress& p) {
    if (p.step == 4 && std::string(p.phase) == "train") throw Killed();
  };
  CHECK_THROWS_AS(train(parts_of(recipe), options), Killed);
  std::ofstream(killed + "/log.jsonl", std::ios::app) << "{\"ts\":1,\"torn";
  CHECK(verify_checkpoint(last(killed)).step == 2);
  train(parts_of(recipe), into(killed, true));
  CHECK(same_files(whole, killed));
  CHECK(timeless_log(killed) == timeless_log(whole));
}

TEST_CASE("a run that ended before its first checkpoint starts anew when it is resumed") {
  const TempFolder folder;
  const Recipe recipe = tiny_recipe();
  struct Killed {};
  TrainerOptions options = into(folder / "a");
  options.listener.on_progress = [](const Progress&) { throw Killed(); };
  CHECK_THROWS_AS(train(parts_of(recipe), options), Killed);
  CHECK(resume_point(into(folder / "a", true)) == "");
  train(parts_of(recipe), into(folder / "a", true));
  train(parts_of(recipe), into(folder / "b"));
  CHECK(same_files(folder / "a", folder / "b"));
}

TEST_CASE("a run that is done is evaluated when it is resumed, and nothing else") {
  const TempFolder folder;
  const Recipe recipe = tiny_recipe();
  const std::string run = folder / "run";
  const TrainResult first = train(parts_of(recipe), into(run));
  const std::string weights = read_file(last(run) + "/model.safetensors");
  const TrainResult second = train(parts_of(recipe), into(run, true));
  CHECK(second.test.top1 == first.test.top1);
  CHECK(second.steps == first.steps);
  CHECK(read_file(last(run) + "/model.safetensors") == weights);
}

TEST_CASE("resuming is refused with another recipe, without a run, and from damage") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.train.checkpoint_every = 1;
  const std::string run = folder / "run";
  CHECK(throws<MissingInput>([&] { train(parts_of(recipe), into(run, true)); }, "recipe.toml") ==
        "");
  CHECK(throws<Stopped>([&] { train(parts_of(recipe), stopping_after(into(run), 3)); }) == "");
  Recipe other = recipe;
  other.train.lr = 0.3;
  CHECK(throws<ConfigError>([&] { train(parts_of(other), into(run, true)); },
                            "train.lr: 0.1 there, 0.3 here") == "");

  std::ofstream(last(run) + "/model.safetensors", std::ios::app) << "x";
  CHECK(throws<DamagedFile>([&] { train(parts_of(recipe), into(run, true)); },
                            "step-3/model.safetensors") == "");
  TrainerOptions options = into(run, true);
  options.fall_back = true;
  CHECK(resume_point(options) == run + "/checkpoints/step-2");
  train(parts_of(recipe), options);
  train(parts_of(recipe), into(folder / "whole"));
  CHECK(same_files(run, folder / "whole"));
}

TEST_CASE("a loss that is not finite stops the run, naming step and last good checkpoint") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.quant = {};
  recipe.distill = {};
  recipe.train.checkpoint_every = 2;
  const auto poisoned = [&](int64_t good) {
    TrainerParts parts = parts_of(recipe);
    parts.student = std::make_shared<Poisoned>(parts.student, good);
    return parts;
  };
  const std::string run = folder / "run";
  CHECK(throws<CheckFailed>([&] { train(poisoned(0), into(folder / "none")); }, "step 0", "loss is",
                            "no checkpoint yet") == "");
  CHECK(throws<CheckFailed>([&] { train(poisoned(3), into(run)); }, "step 3 (epoch 0)",
                            run + "/checkpoints/step-2") == "");
  CHECK(verify_checkpoint(last(run)).step == 2);
  CHECK(read_file(run + "/log.jsonl").find("\"event\":\"failed\"") != std::string::npos);
}

TEST_CASE("gradients and weights that are not finite stop the run, too") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.quant = {};
  recipe.distill = {};
  recipe.train.lr = 1e38;
  CHECK(throws<CheckFailed>([&] { train(parts_of(recipe), into(folder / "run")); },
                            "no checkpoint yet") == "");
  CHECK(Checkpoints(folder / "run/checkpoints").all().empty());
}

TEST_CASE("a signal stops the run at a step boundary") {
  const int signal = GENERATE(SIGTERM, SIGINT, SIGUSR1, SIGUSR2);
  const TempFolder folder;
  const StopOnSignal signals;
  CHECK(StopOnSignal::requested() == "");
  TrainerOptions options = into(folder / "run");
  options.stop_requested = StopOnSignal::requested;
  options.listener.on_progress = [&](const Progress& p) {
    if (p.step == 2) std::raise(signal);
  };
  CHECK(throws<Stopped>([&] { train(parts_of(tiny_recipe()), options); }, "SIG",
                        folder / "run/checkpoints/step-2") == "");
  CHECK(verify_checkpoint(last(folder / "run")).step == 2);
}

TEST_CASE("scheme A keeps its teacher and both optimizers in the checkpoint") {
  const TempFolder folder;
  Recipe recipe = tiny_recipe();
  recipe.distill.scheme = "A";
  recipe.teacher = {.arch = "resnet8", .weights = "", .logits = ""};
  const std::string whole = folder / "whole", run = folder / "run";
  train(parts_of(recipe), into(whole));
  CHECK(throws<Stopped>([&] { train(parts_of(recipe), stopping_after(into(run), 6)); }) == "");
  train(parts_of(recipe), into(run, true));
  CHECK(same_files(whole, run));
  CHECK(read_file(last(whole) + "/teacher.safetensors") ==
        read_file(last(run) + "/teacher.safetensors"));
  const State optimizers = load_state(last(run) + "/optimizer.safetensors");
  CHECK(optimizers.tensors.count("student.momentum.conv1.weight") == 1);
  CHECK(optimizers.tensors.count("teacher.momentum.conv1.weight") == 1);
}
