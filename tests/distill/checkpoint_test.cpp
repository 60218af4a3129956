#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/distill/checkpoint.h>
#include <apprentice/distill/hash.h>

#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;
namespace fs = std::filesystem;

namespace {

RunState state_at(int64_t step, int64_t best_step = -1) {
  RunState state;
  state.step = step;
  state.epoch = step / 10;
  state.recipe_hash = "abc";
  state.best_top1 = 0.1 + 0.2;
  state.best_step = best_step;
  state.sums = {{"epoch.loss", 1.0 / 3}};
  return state;
}

std::string save(Checkpoints& checkpoints, const RunState& state,
                 const std::string& content = "x") {
  return checkpoints.save(state, [&](const std::string& folder) {
    write_file_durably(folder + "/data", content);
    return std::vector<std::string>{"data"};
  });
}

std::string name_of(const std::string& path) { return fs::path(path).filename().string(); }

void append(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::app) << text;
}

}  // namespace

TEST_CASE("the hash is XXH3-128") {
  // Test vectors of xxHash: the empty input, and "a" as xxh128sum prints it.
  CHECK(hash_hex({}) == "99aa06d3014798d86001c324468d497f");
  const std::string text = "a";
  CHECK(hash_hex(std::as_bytes(std::span(text))) == "a96faf705af16834e6c632b61e964e1f");
}

TEST_CASE("a checkpoint gives its state back exactly") {
  const TempFolder folder;
  Checkpoints checkpoints(folder / "c");
  checkpoints.recover();
  CHECK(checkpoints.last() == "");
  const RunState state = state_at(12, 12);
  const std::string path = save(checkpoints, state);
  const RunState again = verify_checkpoint(path);
  CHECK(again.step == 12);
  CHECK(again.epoch == 1);
  CHECK(again.recipe_hash == "abc");
  CHECK(again.best_top1 == state.best_top1);
  CHECK(again.sums == state.sums);
  CHECK(checkpoints.last() == path);
  CHECK(checkpoints.best() == path);
  CHECK(verify_checkpoint(folder / "c/last").step == 12);
}

TEST_CASE("the newest and the best checkpoints stay, older ones go") {
  const TempFolder folder;
  Checkpoints checkpoints(folder / "c", 2);
  checkpoints.recover();
  for (int64_t step = 1; step <= 12; ++step) save(checkpoints, state_at(step, step < 4 ? step : 3));
  std::vector<std::string> names;
  for (const std::string& path : checkpoints.all()) names.push_back(name_of(path));
  CHECK(names == std::vector<std::string>{"step-12", "step-11", "step-3"});
  CHECK(name_of(checkpoints.last()) == "step-12");
  CHECK(name_of(checkpoints.best()) == "step-3");
}

TEST_CASE("the same step saved again replaces the earlier checkpoint") {
  const TempFolder folder;
  Checkpoints checkpoints(folder / "c");
  checkpoints.recover();
  save(checkpoints, state_at(5), "first");
  const std::string path = save(checkpoints, state_at(5), "second");
  CHECK(read_file(path + "/data") == "second");
  CHECK(checkpoints.all().size() == 1);
}

TEST_CASE("damage to a checkpoint is found, and named") {
  const TempFolder folder;
  Checkpoints checkpoints(folder / "c");
  checkpoints.recover();
  const std::string older = save(checkpoints, state_at(1)), path = save(checkpoints, state_at(2));
  const auto damaged = [&](const char* part) {
    return throws<DamagedFile>([&] { verify_checkpoint(path); }, path, part);
  };
  SECTION("one more byte") {
    append(path + "/data", "y");
    CHECK(damaged("2 bytes") == "");
  }
  SECTION("another byte") {
    write_file_durably(path + "/data", "z");
    CHECK(damaged("checksum") == "");
  }
  SECTION("a file that is gone") {
    fs::remove(path + "/data");
    CHECK(damaged("not there") == "");
  }
  SECTION("a manifest that is no JSON") {
    append(path + "/manifest.json", "}");
    CHECK(damaged("manifest.json") == "");
  }
  SECTION("a manifest without a state") {
    write_file_durably(path + "/manifest.json",
                       "{\"schema\":\"apprentice-checkpoint-1\",\"files\":{}}");
    CHECK(damaged("state") == "");
  }
  SECTION("a manifest that names a file elsewhere") {
    write_file_durably(path + "/manifest.json",
                       "{\"schema\":\"apprentice-checkpoint-1\",\"files\":{\"../x\":{}}}");
    CHECK(damaged("no plain file name") == "");
  }
  CHECK(newest_intact(checkpoints) == older);
  fs::remove_all(older);
  CHECK(throws<DamagedFile>([&] { newest_intact(checkpoints); }, path) == "");
}

TEST_CASE("a save that fails leaves the earlier checkpoints and links as they were") {
  const TempFolder folder;
  Checkpoints checkpoints(folder / "c");
  checkpoints.recover();
  const std::string earlier = save(checkpoints, state_at(7, 7));
  const int64_t step = GENERATE(7, 8);
  const auto fail = [&](const std::function<void(const std::string&)>& write) {
    return throws<IoError>(
        [&] {
          checkpoints.save(state_at(step, step), [&](const std::string& path) {
            write(path);
            return std::vector<std::string>{"data"};
          });
        },
        "");
  };
  SECTION("the writer throws") {
    CHECK(fail([](const std::string&) { throw IoError("disk full"); }) == "");
  }
  SECTION("the file grows beyond the limit of the process") {
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
    const std::string outcome = fail([](const std::string& path) {
      write_file_durably(path + "/data", std::string(100'000, 'x'));
    });
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    CHECK(outcome == "");
  }
  CHECK(checkpoints.last() == earlier);
  CHECK(checkpoints.best() == earlier);
  CHECK(verify_checkpoint(earlier).step == 7);
  CHECK(checkpoints.all().size() == 1);
  const std::string next = save(checkpoints, state_at(8));
  CHECK(checkpoints.last() == next);
}

TEST_CASE("what a killed run left half done is finished or removed") {
  const TempFolder folder;
  std::string path;
  {
    Checkpoints checkpoints(folder / "c");
    checkpoints.recover();
    path = save(checkpoints, state_at(7));
  }
  fs::create_directory(path + ".tmp");
  fs::copy(path, folder / "c/step-3.old");
  SECTION("killed while the same step was saved again") {
    fs::rename(path, path + ".old");
    const Checkpoints checkpoints(folder / "c");
    checkpoints.recover();
    CHECK(verify_checkpoint(path).step == 7);
    CHECK(checkpoints.last() == path);
  }
  SECTION("killed before the old one was removed") {
    fs::copy(path, path + ".old");
    const Checkpoints checkpoints(folder / "c");
    checkpoints.recover();
    CHECK(verify_checkpoint(path).step == 7);
    CHECK_FALSE(fs::exists(path + ".old"));
  }
  SECTION("killed between the links: the best is known, and saved again from before") {
    Checkpoints checkpoints(folder / "c");
    checkpoints.recover();
    save(checkpoints, state_at(8, 8));
    fs::remove(folder / "c/last");
    fs::create_directory(folder / "c/last");
    CHECK_THROWS_AS(save(checkpoints, state_at(9, 9)), IoError);
    CHECK(name_of(checkpoints.best()) == "step-9");
    CHECK(verify_checkpoint(checkpoints.best()).best_step == 9);
  }
  SECTION("killed before the link was moved") {
    fs::remove(folder / "c/last");
    const Checkpoints checkpoints(folder / "c");
    checkpoints.recover();
    CHECK(checkpoints.last() == path);
  }
  CHECK_FALSE(fs::exists(path + ".tmp"));
}
