#include <catch2/catch.hpp>

#include <filesystem>

#include <apprentice/base/files.h>
#include <apprentice/core/ops/loss.h>
#include <apprentice/distill/metrics.h>
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
std::pair<std::string, int64_t> ending(const TrainerParts& parts, const TrainerOptions& options) {
  const TrainResult result = train(parts, options);
  CHECK(result.steps == (parts.train->count + 3) / 4 * parts.recipe.train.epochs);
  return {read_file(result.checkpoint + "/model.safetensors") +
              read_file(result.checkpoint + "/optimizer.safetensors") +
              fmt::format("{}", result.test.loss),
          result.recorded_steps};
}

std::pair<std::string, int64_t> ending(const Recipe& recipe, const TrainerOptions& options) {
  return ending(parts_of(recipe), options);
}

TrainerOptions into(const std::string& output, bool graph) {
  TrainerOptions options;
  options.output = output;
  options.device = test_device();
  options.graph = graph;
  return options;
}

/// Plain training that looks at nothing of a batch but what it has made of it ahead.
class Probe final : public Method {
 public:
  explicit Probe(const MethodSetup& setup) : student_(setup.student) {}
  std::vector<Trained> trained() const override { return {{"student", student_}}; }
  std::vector<Tensor> ahead(const data::Batch& batch) override {
    calls() += fmt::format("a{} ", batch.index);
    return {batch.x.clone(), batch.labels.clone()};
  }
  StepResult step(const data::Batch& batch, const std::vector<Tensor>& ahead,
                  const StepInfo&) override {
    calls() += fmt::format("s{} ", batch.index);
    const Tensor logits = student_->forward(ahead[0]);
    const Tensor loss = cross_entropy(logits, ahead[1]);
    return {loss, {{"label", loss.detach(), 1.0}}, correct_count(logits.detach(), batch.labels)};
  }
  bool recordable() const override { return true; }
  bool ahead_recordable() const override { return true; }
  /// What was called of any since it was emptied: "a1 s0".
  static std::string& calls() {
    static std::string text;
    return text;
  }

 private:
  std::shared_ptr<nn::TensorModule> student_;
};

void add_probe() {
  if (!methods().has("probe"))
    methods().add("probe", {[](const MethodSetup& setup) { return std::make_unique<Probe>(setup); },
                            [](const Recipe&) { return TeacherNeed::none; }});
}

}  // namespace

TEST_CASE("training by a recorded step ends in the same bits as training step by step") {
  const TempFolder folder;
  const auto [weights, scheme] = GENERATE(std::pair<const char*, const char*>{"twn", "A"},
                                          std::pair<const char*, const char*>{"ttq", "B"});
  CAPTURE(weights, scheme);
  const Recipe recipe = recipe_of(weights, scheme);
  const auto plain = ending(recipe, into(folder / "plain", false));
  CHECK(plain.second == 0);
  for (const GraphOrder order : {GraphOrder::first_stream_first, GraphOrder::last_stream_first}) {
    CAPTURE(int(order));
    set_emulated_order(order);
    const auto recorded = ending(recipe, into(folder / fmt::format("{}", int(order)), true));
    set_emulated_order(GraphOrder::given);
    CHECK(recorded.second == 2);  // of six steps the first two and the two short ones are not
    CHECK(bool(plain.first == recorded.first));
  }
}

TEST_CASE("a teacher that receives a gradient is trained in a stream of its own as in one") {
  const TempFolder folder;
  Recipe recipe = recipe_of("none", "A");
  recipe.quant.activations = "none";
  recipe.distill.teacher_receives_distill_grad = true;
  const auto plain = ending(recipe, into(folder / "plain", false));
  set_emulated_order(GraphOrder::in_turn);
  const auto recorded = ending(recipe, into(folder / "recorded", true));
  set_emulated_order(GraphOrder::given);
  CHECK(recorded.second == 2);
  CHECK(bool(plain.first == recorded.first));
}

TEST_CASE("on a device what a step takes is made before the step before it, on the CPU it is not") {
  add_probe();
  const TempFolder folder;
  Recipe recipe = recipe_of("none", "B");
  recipe.quant.activations = "none";
  recipe.distill = {};
  recipe.distill.method = "probe";
  const auto calls = [&](const TrainerOptions& options) {
    TrainerParts parts = parts_of(recipe);
    parts.student = std::make_shared<test::OneLayer>(3);
    Probe::calls().clear();
    train(parts, options);
    return Probe::calls();
  };
  CHECK(calls(into(folder / "there", false)) == "a0 a1 s0 a2 s1 a0 s2 a1 s0 a2 s1 s2 ");
  TrainerOptions here = into(folder / "here", false);
  here.device = {};
  CHECK(calls(here) == "a0 s0 a1 s1 a2 s2 a0 s0 a1 s1 a2 s2 ");
}

TEST_CASE("steps are those of their own batches, though these are made a step early") {
  add_probe();
  const TempFolder folder;
  Recipe recipe = recipe_of("none", "B");
  recipe.quant.activations = "none";
  recipe.distill = {};
  recipe.data.resident = GENERATE(true, false);
  const bool graph = GENERATE(true, false);
  CAPTURE(recipe.data.resident, graph);
  const auto simple = [](const Recipe& r) {
    TrainerParts parts = parts_of(r);
    parts.student = std::make_shared<test::OneLayer>(3);
    return parts;
  };
  const auto expected = ending(simple(recipe), into(folder / "expected", false));
  recipe.distill.method = "probe";
  const GraphOrder order = GENERATE(GraphOrder::first_stream_first, GraphOrder::last_stream_first);
  set_emulated_order(order);
  const auto got = ending(simple(recipe), into(folder / "got", graph));
  set_emulated_order(GraphOrder::given);
  CHECK(got.second == (graph ? 2 : 0));
  CHECK(bool(got.first == expected.first));
}

TEST_CASE("without a short batch an epoch's last launch makes what the next one begins with") {
  const TempFolder folder;
  Recipe recipe = recipe_of("none", GENERATE("A", "B"));
  recipe.quant.activations = "none";
  recipe.data.resident = GENERATE(true, false);
  recipe.train.epochs = 3;
  CAPTURE(recipe.distill.scheme, recipe.data.resident);
  const auto parts = [&] {
    TrainerParts all = test::parts_of(recipe, 8, 4);
    all.student = std::make_shared<test::OneLayer>(3);
    all.teacher = std::make_shared<test::OneLayer>(4);
    return all;
  };
  const auto plain = ending(parts(), into(folder / "plain", false));
  for (const GraphOrder order : {GraphOrder::first_stream_first, GraphOrder::last_stream_first}) {
    CAPTURE(int(order));
    set_emulated_order(order);
    const auto recorded = ending(parts(), into(folder / fmt::format("{}", int(order)), true));
    set_emulated_order(GraphOrder::given);
    CHECK(recorded.second == 4);  // of six steps
    CHECK(bool(plain.first == recorded.first));
  }
}

TEST_CASE("a run with stored logits is recorded, too, and ends in the same bits") {
  const TempFolder folder;
  const Recipe recipe = recipe_of("twn", "B");
  const auto stored = [&] {
    TrainerParts parts = parts_of(recipe);
    const LogitsKey key{.teacher = state_hash(*parts.teacher),
                        .data = "colours",
                        .augment = recipe.data.augment,
                        .images = 10,
                        .epochs = recipe.train.epochs,
                        .classes = 10};
    const std::string path = folder / "logits.safetensors";
    if (!std::filesystem::exists(path)) {
      LogitsWriter writer(path, key);
      OnlineTeacher teacher(parts.teacher);
      data::Loader loader(parts.train, loader_options(recipe));
      for (int64_t epoch = 0; epoch < key.epochs; ++epoch) {
        loader.start(epoch);
        while (const auto batch = loader.next())
          writer.add(*batch, epoch, teacher.logits(*batch, epoch));
      }
      writer.close();
    }
    parts.teacher_logits = std::make_shared<StoredTeacher>(path, key);
    parts.teacher = nullptr;
    return parts;
  };
  const auto plain = ending(stored(), into(folder / "plain", false));
  const auto recorded = ending(stored(), into(folder / "recorded", true));
  CHECK(recorded.second == 2);
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
