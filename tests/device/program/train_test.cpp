#include <catch2/catch.hpp>

#include <cmath>

#include <tools/program.h>

using namespace apprentice::test;
using Catch::Matchers::Contains;

namespace {

constexpr const char* kTeacher = R"(
[model]
arch = "resnet8"
[data]
name = "shapes10:8"
test_images = 4
[train]
epochs = 1
batch = 4
workers = 0
)";

constexpr const char* kStudent = R"(
[quant]
weights = "twn"
activations = "wrpn"
[distill]
method = "apprentice"
scheme = "B"
)";

}  // namespace

TEST_CASE("train, distill and eval run on a device, and what they leave is read anywhere") {
  const ScratchFolder folder;
  const std::string device = " --device emulated --json";
  write_text(folder / "teacher.toml", kTeacher);
  const Called teacher =
      call("train " + (folder / "teacher.toml") + " --output " + (folder / "teacher") + device);
  INFO(teacher.err);
  REQUIRE(teacher.code == 0);

  const std::string weights = folder / "teacher/checkpoints/last/model.safetensors";
  write_text(folder / "student.toml", std::string(kTeacher) + kStudent +
                                          "[teacher]\narch = \"resnet8\"\nweights = \"" + weights +
                                          "\"\n");
  const Called student =
      call("distill " + (folder / "student.toml") + " --output " + (folder / "student") + device);
  INFO(student.err);
  REQUIRE(student.code == 0);
  CHECK(student.json()["steps"] == 2);
  const Called narrow = call("distill " + (folder / "student.toml") + " --output " +
                             (folder / "narrow") + " --set train.precision=bf16" + device);
  INFO(narrow.err);
  REQUIRE(narrow.code == 0);
  CHECK(narrow.json()["steps"] == 2);

  // The quantized network has the same integers everywhere; losses are summed in another order.
  const std::string run = folder / "student/checkpoints/last";
  const std::string eval = "eval " + run + " --data shapes10 --images 4";
  const Called there = call(eval + device), here = call(eval + " --json");
  REQUIRE(there.code == 0);
  REQUIRE(here.code == 0);
  CHECK(there.json()["correct"] == here.json()["correct"]);
  CHECK(std::abs(there.json()["loss"].get<double>() - here.json()["loss"].get<double>()) < 1e-5);

  const std::string packed = folder / "packed.safetensors";
  CHECK(call("pack " + run + " " + packed).code == 0);
  CHECK(call("verify " + run + " " + packed + " --data shapes10 --images 4").code == 0);
}

TEST_CASE("a run on a device prints with --verbose where the device's memory goes") {
  const ScratchFolder folder;
  write_text(folder / "tiny.toml", kTeacher);
  const Called called =
      call("train " + (folder / "tiny.toml") + " --set data.train_images=3 --set train.batch=1 " +
           "--device emulated --verbose --output " + (folder / "run"));
  INFO(called.err);
  REQUIRE(called.code == 0);
  CHECK_THAT(called.err, Contains("memory of the device, MB:\n  parameters "));
  for (const char* item :
       {"optimizer", "data_set", "step.without_reuse", "step.activations", "largest.1", "free"})
    CHECK_THAT(called.err, Contains(std::string("\n  ") + item + " "));
  CHECK_THAT(read_text(folder / "run/log.jsonl"), Contains("\"event\":\"memory\""));
}
