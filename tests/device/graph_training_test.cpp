#include <catch2/catch.hpp>

#include <apprentice/base/files.h>
#include <apprentice/distill/trainer.h>
#include <apprentice/quant/prepare.h>

#include <device/test_device.h>
#include <distill/tiny_parts.h>
#include <support/temp_folder.h>

using namespace apprentice;
using namespace apprentice::distill;
using test::TempFolder;

namespace {

/// Two epochs of two batches of 4 and one of 2 under a teacher that is frozen (B) or trained (A).
Recipe recipe_of(const std::string& weights, const std::string& scheme) {
  Recipe recipe;
  recipe.model.arch = "resnet8";
  (scheme == "A" ? recipe.teacher.arch : recipe.teacher.weights) = "resnet8";
  recipe.data.name = "colours";
  recipe.quant.weights = weights;
  recipe.quant.activations = "wrpn";
  recipe.distill.method = "apprentice";
  recipe.distill.scheme = scheme;
  recipe.train.epochs = 2;
  recipe.train.batch = 4;
  recipe.train.workers = 0;
  return recipe;
}

TrainerParts parts_of(const Recipe& recipe) { return test::parts_of(recipe, 10, 4); }

/// Bytes of the weights and optimizers that a run ends with, with its loss on the test set, and
/// how many steps were launched as a graph.
std::pair<std::string, int64_t> ending(const Recipe& recipe, const TrainerOptions& options) {
  const TrainResult result = train(parts_of(recipe), options);
  CHECK(result.steps == 3 * recipe.train.epochs);
  return {read_file(result.checkpoint + "/model.safetensors") +
              read_file(result.checkpoint + "/optimizer.safetensors") +
              fmt::format("{}", result.test.loss),
          result.recorded_steps};
}

TrainerOptions into(const std::string& output, bool graph) {
  TrainerOptions options;
  options.output = output;
  options.device = test_device();
  options.graph = graph;
  return options;
}

}  // namespace

TEST_CASE("training by a recorded step ends in the same bits as training step by step") {
  const TempFolder folder;
  const auto [weights, scheme] = GENERATE(std::pair<const char*, const char*>{"twn", "A"},
                                          std::pair<const char*, const char*>{"ttq", "B"});
  CAPTURE(weights, scheme);
  const Recipe recipe = recipe_of(weights, scheme);
  const auto plain = ending(recipe, into(folder / "plain", false));
  const auto recorded = ending(recipe, into(folder / "recorded", true));
  CHECK(plain.second == 0);
  CHECK(recorded.second == 2);  // of six steps the first two and the two short ones are not
  CHECK(bool(plain.first == recorded.first));
}

TEST_CASE("a run that goes on with an epoch's short batch records the full ones all the same") {
  const TempFolder folder;
  Recipe recipe = recipe_of("twn", "B");
  TrainerOptions options = into(folder / "run", true);
  int64_t done = 0;
  options.listener.on_progress = [&](const Progress& p) { done = p.step; };
  options.stop_requested = [&]() -> std::string { return done == 2 ? "enough" : ""; };
  recipe.train.epochs = 3;
  CHECK_THROWS_AS(train(parts_of(recipe), options), Stopped);
  TrainerOptions resume = into(folder / "run", true);
  resume.resume = true;
  CHECK(ending(recipe, resume).second == 2);  // one short, two before recording, short, two, short
}
