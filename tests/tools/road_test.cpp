#include <catch2/catch.hpp>

#include "tools/program.h"

using apprentice::test::call;
using apprentice::test::Called;
using apprentice::test::read_text;
using apprentice::test::ScratchFolder;
using apprentice::test::write_text;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kTeacher = R"(
[model]
arch = "resnet8"
[data]
name = "shapes10:640"
test_images = 200
[train]
epochs = 1
batch = 32
lr = 0.1
workers = 0
)";

constexpr const char* kApprentice = R"(
[quant]
weights = "twn"
activations = "wrpn"
calibration_images = 128
[distill]
method = "apprentice"
scheme = "C"
)";

/// A teacher, trained once for all cases of this file.
struct Trained {
  ScratchFolder folder;
  std::string teacher_recipe = folder / "teacher.toml", recipe = folder / "apprentice.toml";
  std::string teacher = folder / "teacher/checkpoints/last";
  Called call_of_teacher;

  Trained() {
    write_text(teacher_recipe, kTeacher);
    write_text(recipe,
               std::string(kTeacher) + kApprentice + "[teacher]\nweights = \"" + teacher + "\"\n");
    call_of_teacher = call("train " + teacher_recipe + " --json --output " + (folder / "teacher"));
  }
  std::string from_teacher() const { return " --set 'model.init=\"" + teacher + "\"' "; }
};

Trained& trained() {
  static Trained one;
  return one;
}

}  // namespace

TEST_CASE("a teacher is trained, an apprentice distilled, packed, verified and evaluated") {
  Trained& t = trained();
  INFO(t.call_of_teacher.err);
  REQUIRE(t.call_of_teacher.code == 0);
  CHECK(t.call_of_teacher.json()["images"] == 200);

  const std::string run = t.folder / "apprentice";
  const Called distilled =
      call("distill " + t.recipe + t.from_teacher() + "--json --output " + run);
  INFO(distilled.err);
  REQUIRE(distilled.code == 0);

  const std::string packed = t.folder / "packed.safetensors";
  const Called pack = call("pack " + run + "/checkpoints/last " + packed + " --json");
  INFO(pack.err);
  REQUIRE(pack.code == 0);
  CHECK(pack.json()["compression"] > 4);

  const nlohmann::json machine = call("doctor --json").json();
  for (const std::string kernel : {"reference", "avx2", "vnni"}) {
    if (kernel == "avx2" && !machine["avx2"]) continue;
    if (kernel == "vnni" && !machine["avx512_vnni"]) continue;
    const std::string by =
        " --data shapes10 --images 100 --json --require-kernel --kernel " + kernel;
    const Called verify = call("verify " + run + "/checkpoints/last " + packed + by);
    INFO(verify.err << verify.out);
    REQUIRE(verify.code == 0);
    CHECK(verify.json()["equal_predictions"] == 100);
    CHECK(verify.json()["max_logit_error"] == 0);
    const Called eval = call("eval " + packed + by);
    INFO(eval.err);
    CHECK(eval.code == 0);
  }
  const Called inspect = call("inspect " + packed + " --json --kernel reference");
  REQUIRE(inspect.code == 0);
  const nlohmann::json report = inspect.json();
  int ternary = 0;
  for (const auto& layer : report["layers"]) {
    CAPTURE(layer.dump());
    if (layer["type"] != "ternary") continue;
    ++ternary;
    CHECK_THAT(layer["kernel"].get<std::string>(), Contains("reference"));
  }
  CHECK(ternary == 6);  // all of a ResNet-8 but stem and classifier
  const Called one = call("eval " + run + "/checkpoints/last --data shapes10 --images 200 --json");
  const Called two = call("eval " + packed + " --data shapes10 --images 200 --json --threads 2");
  REQUIRE(one.code == 0);
  REQUIRE(two.code == 0);
  CHECK(one.json()["correct"] == two.json()["correct"]);
  CHECK(one.json()["loss"] == two.json()["loss"]);
  CHECK(two.json()["kind"] == "packed");
  CHECK(one.json()["top1"] == distilled.json()["top1"]);
}

TEST_CASE("verify exits 1 and names the layer when one code of the packed file is another") {
  Trained& t = trained();
  const std::string run = t.folder / "damaged", packed = t.folder / "damaged.safetensors";
  REQUIRE(call("distill " + t.recipe + t.from_teacher() + "--output " + run).code == 0);
  REQUIRE(call("pack " + run + "/checkpoints/last " + packed).code == 0);
  std::string bytes = read_text(packed);
  const nlohmann::json header = nlohmann::json::parse(
      bytes.substr(8, size_t(*reinterpret_cast<const uint64_t*>(bytes.data()))));
  const size_t data = 8 + size_t(*reinterpret_cast<const uint64_t*>(bytes.data()));
  const size_t at = header["layer2.0.conv1.weight_packed"]["data_offsets"][0];
  // A byte of four codes, none of them -2, other than the one that stands there.
  bytes[data + at] = bytes[data + at] == 0x55 ? 0 : 0x55;
  write_text(packed, bytes);

  const Called verify =
      call("verify " + run + "/checkpoints/last " + packed + " --data shapes10 --images 50");
  CHECK(verify.code == 1);
  CHECK_THAT(verify.out, Contains("layer2.0.conv1"));
}

TEST_CASE("a control run moves without the teacher, on the same data") {
  Trained& t = trained();
  const std::string with = t.folder / "with", without = t.folder / "without";
  REQUIRE(call("distill " + t.recipe + t.from_teacher() + "--output " + with).code == 0);
  REQUIRE(call("distill " + t.recipe + t.from_teacher() + "--control --output " + without).code ==
          0);
  const auto weights = [](const std::string& run) {
    return read_text(run + "/checkpoints/last/model.safetensors");
  };
  CHECK(weights(with) != weights(without));
  const std::string alone = t.folder / "alone";
  REQUIRE(call("distill " + t.recipe + t.from_teacher() + "--set distill.gamma=0 --output " + alone)
              .code == 0);
  CHECK(weights(alone) == weights(without));
  CHECK_THAT(read_text(without + "/recipe.toml"), Contains("control = true"));
}

TEST_CASE("a run stopped by SIGTERM exits 75 and, resumed, ends in the same weights") {
  Trained& t = trained();
  const std::string whole = t.folder / "whole", cut = t.folder / "cut";
  const std::string more = " --set train.epochs=5 --set train.batch=16 --output ";
  // The signal comes when the first step of 200 is in the log.
  const std::string log = cut + "/log.jsonl";
  const Called stopped = call("train " + t.teacher_recipe + " --set train.log_every=1" + more + cut,
                              "stop() { \"$@\" & until [ -s " + log +
                                  " ]; do sleep 0.02; done; kill -TERM $!; wait $!; }; stop ");
  INFO(stopped.err);
  REQUIRE(stopped.code == 75);
  CHECK_THAT(stopped.err, Contains("SIGTERM") && Contains("checkpoint"));

  REQUIRE(call("train " + t.teacher_recipe + more + whole).code == 0);
  const Called resumed = call("train " + t.teacher_recipe + more + cut + " --resume");
  INFO(resumed.err);
  REQUIRE(resumed.code == 0);
  CHECK(read_text(whole + "/checkpoints/last/model.safetensors") ==
        read_text(cut + "/checkpoints/last/model.safetensors"));
}
