#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include <apprentice/base/files.h>
#include <apprentice/kernels/dense/plans/plan_cache.h>
#include <support/temp_folder.h>

using namespace apprentice;
using namespace apprentice::kernels::dense;
using Catch::Contains;
using test::TempFolder;

namespace {

/// Collects warnings.
struct Warnings {
  std::vector<std::string> texts;
  PlanCache::Warn collect() {
    return [this](const std::string& text) { texts.push_back(text); };
  }
};

/// An environment variable while it lives; null: unset.
class Variable {
 public:
  Variable(const char* name, const char* value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
  }
  ~Variable() { before_ ? ::setenv(name_, before_->c_str(), 1) : ::unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> before_;
};

}  // namespace

TEST_CASE("a plan is found again by another cache of the same file, and by its whole key only") {
  const TempFolder folder;
  const std::string path = folder / "a/b/plans.json";
  Warnings warnings;
  PlanCache first(path, warnings.collect());
  CHECK(!first.find("H200 conv 3x3"));
  first.put("H200 conv 3x3", "eng1");
  first.put("H200 conv 1x1", "eng2 k3=4");
  first.put("H200 conv 3x3", "eng5");
  PlanCache second(path, warnings.collect());
  CHECK(second.find("H200 conv 3x3") == "eng5");
  CHECK(second.find("H200 conv 1x1") == "eng2 k3=4");
  CHECK(!second.find("H100 conv 3x3"));
  CHECK(folder.names() == std::vector<std::string>{"a"});
  CHECK(warnings.texts.empty());
}

TEST_CASE("two caches of one file keep what the other has added") {
  const TempFolder folder;
  const std::string path = folder / "plans.json";
  PlanCache one(path), two(path);
  CHECK(!one.find("x"));
  CHECK(!two.find("x"));
  one.put("x", "1");
  two.put("y", "2");
  one.put("z", "3");
  PlanCache all(path);
  CHECK(all.find("x") == "1");
  CHECK(all.find("y") == "2");
  CHECK(all.find("z") == "3");
}

TEST_CASE("a damaged or foreign plan cache is replaced after one warning") {
  const std::string text = GENERATE(
      as<std::string>(), "", "{", std::string("\0\xff\x01", 3), "[1, 2]", "{\"plans\": {}}",
      R"({"format": "apprentice dense plans", "version": 2, "plans": {"k": "v"}})",
      R"({"format": "something else", "version": 1, "plans": {"k": "v"}})",
      R"({"format": "apprentice dense plans", "version": 1, "plans": {"k": 3}})",
      R"({"format": "apprentice dense plans", "version": 1, "plans": {"a": "b", "k": ["v"]}})",
      R"({"format": "apprentice dense plans", "version": 1, "plans": "k"})",
      R"({"format": "apprentice dense plans", "version": 1, "plans": {"k": "v"})");
  CAPTURE(text);
  const TempFolder folder;
  const std::string path = folder / "plans.json";
  write_file_durably(path, text);
  Warnings warnings;
  PlanCache cache(path, warnings.collect());
  CHECK(!cache.find("k"));
  CHECK(!cache.find("a"));
  cache.put("new", "plan");
  cache.put("newer", "plan");
  REQUIRE(warnings.texts.size() == 1);
  CHECK_THAT(warnings.texts[0], Contains(path) && Contains("damaged"));
  PlanCache again(path, warnings.collect());
  CHECK(again.find("new") == "plan");
  CHECK(again.find("newer") == "plan");
  CHECK(warnings.texts.size() == 1);
}

TEST_CASE("a plan cache that cannot be read or written works in memory, with one warning") {
  const TempFolder folder;
  write_file_durably(folder / "file", "no folder");
  // Below a file no folder can be made, whoever asks; in place of a folder no file.
  const std::string path =
      folder / GENERATE(as<std::string>(), "file/a/plans.json", "file/plans.json", ".");
  CAPTURE(path);
  Warnings warnings;
  PlanCache cache(path, warnings.collect());
  CHECK(!cache.find("k"));
  cache.put("k", "v");
  cache.put("l", "w");
  CHECK(cache.find("k") == "v");
  CHECK(cache.find("l") == "w");
  CHECK(warnings.texts.size() == 1);
}

TEST_CASE("a plan cache without a path keeps plans and says nothing") {
  Warnings warnings;
  PlanCache cache("", warnings.collect());
  cache.put("k", "v");
  CHECK(cache.find("k") == "v");
  CHECK(warnings.texts.empty());
}

TEST_CASE("the plan cache lies where the environment says") {
  const Variable cache("APPRENTICE_CACHE", nullptr), xdg("XDG_CACHE_HOME", "/x"),
      home("HOME", "/h");
  CHECK(default_plan_path() == "/x/apprentice/dense_plans.json");
  {
    const Variable own("APPRENTICE_CACHE", "/own");
    CHECK(default_plan_path() == "/own/dense_plans.json");
  }
  {
    const Variable off("APPRENTICE_CACHE", "");
    CHECK(default_plan_path().empty());
  }
  // The XDG base directory specification has relative paths ignored.
  const Variable relative("XDG_CACHE_HOME", "x");
  CHECK(default_plan_path() == "/h/.cache/apprentice/dense_plans.json");
  const Variable none("HOME", nullptr);
  CHECK(default_plan_path().empty());
}
