#include <catch2/catch.hpp>

#include <filesystem>
#include <fstream>
#include <limits>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/distill/health.h>
#include <apprentice/distill/resume.h>
#include <apprentice/distill/run_folder.h>
#include <apprentice/distill/trainer.h>

#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

TEST_CASE("a line of the log holds its fields in order, floats exact, and stays JSON") {
  const Event event{"train",
                    3,
                    1,
                    {{"loss", 0.1 + 0.2},
                     {"images", int64_t(7)},
                     {"note", std::string("a \"b\"\n\xff")},
                     {"bad", std::numeric_limits<double>::infinity()}}};
  CHECK(json_line(event, 1.5) ==
        "{\"ts\":1.5,\"step\":3,\"epoch\":1,\"rank\":0,\"event\":\"train\","
        "\"loss\":0.30000000000000004,\"images\":7,\"note\":\"a \\\"b\\\"\\n\xEF\xBF\xBD\","
        "\"bad\":\"inf\"}");
}

TEST_CASE("a file that only grows is cut to what it was, at a whole line") {
  const TempFolder folder;
  const std::string path = folder / "log";
  {
    AppendFile file(path);
    file.write("one");
    file.write("two");
    CHECK(file.bytes() == 8);
  }
  const auto reopened = [&](uint64_t bytes) {
    AppendFile file(path);
    file.cut(bytes);
    file.write("end");
    return read_file(path);
  };
  SECTION("to the length given") { CHECK(reopened(4) == "one\nend\n"); }
  SECTION("a torn last line goes") {
    std::ofstream(path, std::ios::app) << "tor";
    CHECK(reopened(1000) == "one\ntwo\nend\n");
  }
  SECTION("a length within a line is cut back to its start") { CHECK(reopened(6) == "one\nend\n"); }
}

TEST_CASE("a run that is going on is not touched by a second writer") {
  const TempFolder folder;
  const std::string path = folder / "run";
  const auto reopen = [&] { RunFolder::reopen(path, 2); };
  {
    RunFolder run = RunFolder::create(path, {}, 2);
    run.log({.kind = "train", .step = 1, .fields = {}});
    const std::string log = read_file(path + "/log.jsonl"), half = path + "/checkpoints/step-9.tmp";
    std::filesystem::create_directory(half);
    CHECK(throws<CannotCreate>(reopen, "log.jsonl", "another process") == "");
    TrainerOptions options;
    options.output = path, options.resume = true;
    CHECK(resume_point(options) == "");
    CHECK(read_file(path + "/log.jsonl") == log);
    CHECK(std::filesystem::exists(half));
  }
  CHECK_NOTHROW(reopen());
  CHECK_FALSE(std::filesystem::exists(path + "/checkpoints/step-9.tmp"));
}

TEST_CASE("a run folder that is taken is refused, one that is empty is not") {
  const TempFolder folder;
  Recipe recipe;
  recipe.train.lr = 0.25;
  {
    RunFolder run = RunFolder::create(folder / "a/b", recipe, 2);
    run.summary("h", "1");
    run.summary("h", "2");
  }
  CHECK(read_file(folder / "a/b/summary.csv") == "h\n1\n2\n");
  CHECK(load_recipe(folder / "a/b/recipe.toml").train.lr == 0.25);
  CHECK(throws<CannotCreate>([&] { RunFolder::create(folder / "a/b", recipe, 2); }, folder / "a/b",
                             "not empty") == "");
  std::ofstream(folder / "file") << "x";
  CHECK(throws<CannotCreate>([&] { RunFolder::create(folder / "file", recipe, 2); }) == "");
  std::filesystem::create_directory(folder / "empty");
  CHECK_NOTHROW(RunFolder::create(folder / "empty", recipe, 2));
  CHECK(throws<MissingInput>([&] { RunFolder::reopen(folder / "none", 2); }, "recipe.toml") == "");
}

TEST_CASE("layers that low bits have spoilt are told from healthy ones") {
  const quant::LayerHealth healthy{"l", 0.4, 0.01, 0.1f, 0.2f};
  CHECK(health_problems(healthy).empty());
  CHECK(health_problems({"l", -1, -1, 0, {}}).empty());
  const auto count = [&](auto change) {
    quant::LayerHealth layer = healthy;
    change(layer);
    return health_problems(layer).size();
  };
  CHECK(count([](auto& l) { l.zeros = 0; }) == 1);
  CHECK(count([](auto& l) { l.zeros = 0.99; }) == 1);
  CHECK(count([](auto& l) { l.zeros = 0.98; }) == 0);
  CHECK(count([](auto& l) { l.scale = 0; }) == 1);
  CHECK(count([](auto& l) { l.scale = std::numeric_limits<float>::quiet_NaN(); }) == 1);
  CHECK(count([](auto& l) { l.scale_negative = -0.1f; }) == 1);
  CHECK(count([](auto& l) { l.scale_negative = 0; }) == 1);
  CHECK(count([](auto& l) { l.scale_negative.reset(); }) == 0);
  CHECK(count([](auto& l) { l.saturated = 0.51; }) == 1);
}
