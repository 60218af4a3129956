#include <catch2/catch.hpp>

#include <filesystem>

#include "tools/program.h"

using apprentice::test::call;
using apprentice::test::Called;
using apprentice::test::read_text;
using apprentice::test::ScratchFolder;
using apprentice::test::write_text;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kTiny = R"(
[model]
arch = "resnet8"
[data]
name = "shapes10:64"
test_images = 20
[train]
batch = 32
workers = 0
)";

struct Tiny {
  ScratchFolder folder;
  std::string recipe = folder / "tiny.toml", run = folder / "run";
  Tiny() { write_text(recipe, kTiny); }
  Called train(const std::string& more = "", const std::string& prefix = "") const {
    return call("train " + recipe + " --output " + run + " " + more, prefix);
  }
};

}  // namespace

TEST_CASE("a wrong call exits 2") {
  for (const char* arguments :
       {"", "fly", "eval", "eval x --data", "eval x --data y --threads 0",
        "bench kernels --filter '('", "bench kernels --filter no_such_kernel",
        "verify a b --data shapes10 --require-kernel", "doctor --kernel vnnni"}) {
    CAPTURE(arguments);
    CHECK(call(arguments).code == 2);
  }
  CHECK_THAT(call("doctor --kernel vnnni").err, Contains("did you mean 'vnni'"));
}

TEST_CASE("a device that is none exits 2, one that is not there 69, before anything is written") {
  const Tiny tiny;
  const Called foo = tiny.train("--device foo");
  CHECK(foo.code == 2);
  CHECK_THAT(foo.err, Contains("device is 'foo', expected cpu, cuda or cuda:N"));
  // No machine has so many.
  const Called absent = tiny.train("--device cuda:99");
  CHECK(absent.code == 69);
  CHECK_THAT(absent.err, Contains("apprentice: device cuda"));
  CHECK_THAT(call("eval nothing --data shapes10 --device cuda:99").err, Contains("device cuda"));
  CHECK(!std::filesystem::exists(tiny.run));
  CHECK(tiny.train("--device cpu").code == 0);
}

TEST_CASE("a result that cannot be written exits 74, and one that nobody reads on says nothing") {
  const Called full =
      call("doctor --json", "exec 3>/dev/full; redirect() { \"$@\" >&3; }; redirect ");
  CHECK(full.code == 74);
  CHECK_THAT(full.err, Contains("stdout"));
  const Called left = call("doctor --json", "quit() { \"$@\" | true; }; quit ");
  CHECK(left.err == "");
}

TEST_CASE("train does not take a recipe for distilling, nor distill one for training") {
  const Tiny tiny;
  const Called train = tiny.train("--set distill.method=apprentice");
  CHECK(train.code == 78);
  CHECK_THAT(train.err, Contains("use the verb distill"));
  CHECK(call("distill " + tiny.recipe + " --output " + tiny.run).code == 78);
}

TEST_CASE("what is to be written after hours of work is looked at before") {
  const Tiny tiny;
  REQUIRE(tiny.train().code == 0);
  const std::string eval = "eval " + tiny.run + "/checkpoints/last --data shapes10 --images 10 ";
  const Called logits = call(eval + "--save-logits " + (tiny.folder / "none/logits.safetensors"));
  CHECK(logits.code == 73);
  CHECK_THAT(logits.err, !Contains("eval images") && Contains("none/logits.safetensors"));
}

TEST_CASE("a bad --set exits 2 and a bad recipe 78, both naming the nearest key") {
  const Tiny tiny;
  const Called set = tiny.train("--set train.epoch=2");
  CHECK(set.code == 2);
  CHECK_THAT(set.err, Contains("train.epochs"));

  write_text(tiny.recipe, std::string(kTiny) + "epoch = 2\n");
  const Called recipe = tiny.train();
  CHECK(recipe.code == 78);
  CHECK_THAT(recipe.err, Contains("epochs") && Contains("tiny.toml"));
}

TEST_CASE("an impossible policy exits 78 and says what is possible") {
  const Tiny tiny;
  for (const char* policy :
       {"--set quant.weights=twn --set quant.w_bits=5", "--set quant.weights=tnw",
        "--set quant.weights=twn --set quant.keep='[\"layer9.*\"]'"}) {
    CAPTURE(policy);
    const Called called = tiny.train(policy);
    CHECK(called.code == 78);
    CHECK(called.err.size() > 20);
  }
}

TEST_CASE("a run folder that exists exits 73 and is left as it was") {
  const Tiny tiny;
  REQUIRE(tiny.train().code == 0);
  const std::string before = read_text(tiny.run + "/log.jsonl");
  const Called again = tiny.train();
  CHECK(again.code == 73);
  CHECK_THAT(again.err, Contains(tiny.run));
  CHECK(read_text(tiny.run + "/log.jsonl") == before);
}

TEST_CASE("a missing data set or model exits 66 and says where it was sought") {
  const Tiny tiny;
  const Called data = tiny.train("--set data.name=no_such_set");
  CHECK(data.code == 66);
  CHECK_THAT(data.err, Contains("no_such_set") && Contains("../shared"));
  const Called model = call("eval no_such_model --data shapes10");
  CHECK(model.code == 66);
  CHECK_THAT(model.err, Contains("no_such_model"));
}

TEST_CASE(
    "a damaged model file exits 65, and so does one of another architecture, naming the tensor") {
  const Tiny tiny;
  REQUIRE(tiny.train().code == 0);
  const std::string model = tiny.run + "/checkpoints/last";
  const Called other = call("eval " + model + " --data shapes10 --arch resnet14");
  CHECK(other.code == 65);
  CHECK_THAT(other.err, Contains("layer1.1.bn1.bias"));

  const std::string bytes = read_text(model + "/model.safetensors");
  const std::string cut = tiny.folder / "cut.safetensors";
  write_text(cut, bytes.substr(0, bytes.size() - 100));
  const Called truncated = call("eval " + cut + " --data shapes10");
  CHECK(truncated.code == 65);
  CHECK_THAT(truncated.err, Contains("cut.safetensors"));
}

TEST_CASE("a loss that is not finite stops the run with exit 1, naming the step") {
  const Tiny tiny;
  const Called called = tiny.train("--set train.lr=1e30 --set train.epochs=3");
  CHECK(called.code == 1);
  CHECK_THAT(called.err, Contains("step"));
}

TEST_CASE("a full disk while saving exits 74, names the file and leaves no half checkpoint") {
  const Tiny tiny;
  // 100 blocks of 512 bytes hold the log but no ResNet-8 (311 KB).
  const Called full = tiny.train("", "ulimit -f 100; ");
  INFO(full.err);
  CHECK(full.code == 74);
  CHECK_THAT(full.err, Contains("model.safetensors"));
  CHECK(call("eval " + tiny.run + "/checkpoints/last --data shapes10").code == 66);
}
