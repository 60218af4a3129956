#include <catch2/catch.hpp>

#include <filesystem>

#include <apprentice/base/error.h>
#include <apprentice/base/files.h>
#include <apprentice/distill/recipe.h>

#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using apprentice::test::throws;

TEST_CASE("a recipe names only what differs from the defaults") {
  const Recipe recipe = parse_recipe(
      "[model]\narch = \"resnet32\"\n[train]\nlr = 1\nnesterov = true\n"
      "[quant]\nkeep = [\"conv1\"]\n",
      "r.toml");
  CHECK(recipe.model.arch == "resnet32");
  CHECK(recipe.train.lr == 1.0);
  CHECK(recipe.train.nesterov);
  CHECK(recipe.quant.keep == std::vector<std::string>{"conv1"});
  CHECK(recipe.train.batch == 128);
}

TEST_CASE("a recipe written out reads back to the same values") {
  Recipe recipe;
  recipe.model.init = "a \"quoted\" path\\with\ttab and \u00e9";
  recipe.train.lr = 0.1 + 0.2;
  recipe.train.weight_decay = 1e-300;
  recipe.quant.keep = {"conv1", "layer*.conv2"};
  recipe.distill.control = true;
  recipe.train.seed = 1234567890123456789;
  const Recipe again = parse_recipe(to_toml(recipe), "again");
  CHECK(to_toml(again) == to_toml(recipe));
  CHECK(again.model.init == recipe.model.init);
  CHECK(again.train.lr == recipe.train.lr);
  CHECK(again.train.weight_decay == recipe.train.weight_decay);
  CHECK(again.train.seed == recipe.train.seed);
  CHECK(again.quant.keep == recipe.quant.keep);
}

TEST_CASE("a wrong recipe is refused with file, line, name, value and what is expected") {
  struct Case {
    const char* text;
    const char* parts[3];
  };
  const auto c = GENERATE(
      Case{"[train]\nepoch = 3\n", {"r.toml:2", "'train.epoch'", "did you mean 'train.epochs'"}},
      Case{"\n[trian]\nepochs = 3\n", {"r.toml:2", "[trian]", "did you mean 'train'"}},
      Case{"epochs = 3\n", {"r.toml:1", "[epochs]", "known: model, teacher"}},
      Case{"train = 3\n", {"r.toml:1", "train is 3", "expected a table"}},
      Case{"[train]\nepochs = \"3\"\n", {"r.toml:2", "train.epochs is", "expected an integer"}},
      Case{"[train]\nepochs = 2.5\n", {"r.toml:2", "train.epochs is 2.5", "expected an integer"}},
      Case{"[train]\nepochs = 0\n", {"r.toml:2", "train.epochs is 0", "at least 1"}},
      Case{"[train]\n\nlr = 0\n", {"r.toml:3", "train.lr is 0", "a number, above 0"}},
      Case{"[train]\nlr = nan\n", {"r.toml:2", "train.lr is nan", "a number, above 0"}},
      Case{"[train]\nmomentum = 1.0\n", {"r.toml:2", "train.momentum is 1", "below 1"}},
      Case{"[distill]\nscheme = \"D\"\n",
           {"r.toml:2", "distill.scheme is", "one of \"A\", \"B\", \"C\""}},
      Case{"[distill]\ncontrol = 1\n", {"r.toml:2", "distill.control is 1", "true or false"}},
      Case{"[quant]\nkeep = \"conv1\"\n", {"r.toml:2", "quant.keep is", "a list of strings"}},
      Case{"[quant]\nkeep = [1]\n", {"r.toml:2", "quant.keep is", "a list of strings"}},
      Case{"[model]\narch = \"\"\n", {"r.toml:2", "model.arch is", "not empty"}},
      Case{"[train\nlr = 1\n", {"r.toml:1", "", ""}},
      Case{"[train]\nlr = 1\nlr = 2\n", {"r.toml:3", "lr", ""}});
  CAPTURE(c.text);
  CHECK(throws<ConfigError>([&] { parse_recipe(c.text, "r.toml"); }, c.parts[0], c.parts[1],
                            c.parts[2]) == "");
}

TEST_CASE("a recipe that is not there or too large is an input error") {
  const test::TempFolder folder;
  CHECK(throws<MissingInput>([&] { load_recipe(folder / "none.toml"); }, "none.toml") == "");
  write_file_durably(folder / "large.toml", std::string(size_t(2) << 20, '#'));
  CHECK(throws<DamagedFile>([&] { load_recipe(folder / "large.toml"); }, "large.toml") == "");
}

TEST_CASE("an override takes TOML values and bare strings, and changes nothing when it is wrong") {
  Recipe recipe;
  apply_set(recipe, "train.epochs=7");
  apply_set(recipe, "model.init=runs/a=b/last");
  apply_set(recipe, "teacher.weights=\"x y\"");
  apply_set(recipe, "quant.keep=[\"a\", \"b\"]");
  apply_set(recipe, "distill.control=true");
  apply_set(recipe, "teacher.arch=");
  CHECK(recipe.train.epochs == 7);
  CHECK(recipe.model.init == "runs/a=b/last");
  CHECK(recipe.teacher.weights == "x y");
  CHECK(recipe.quant.keep == std::vector<std::string>{"a", "b"});
  CHECK(recipe.distill.control);

  const std::string before = to_toml(recipe);
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "train.epochs=x"); }, "--set train.epochs=x",
                            "expected an integer") == "");
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "train.epochs=1\nx=2"); }, "one value") == "");
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "train.epocs=1"); },
                            "did you mean 'train.epochs'") == "");
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "epochs=1"); }, "table.key=value") == "");
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "train.epochs"); }, "table.key=value") == "");
  CHECK(throws<ConfigError>([&] { apply_set(recipe, "model.init=a=b.c=d"); }) == "threw nothing");
  recipe.model.init = "runs/a=b/last";
  CHECK(to_toml(recipe) == before);
}

TEST_CASE("the hash of a recipe changes with the numbers of a run, not with how it is run") {
  Recipe recipe, other;
  other.train.workers = 7;
  other.train.log_every = 1;
  CHECK(recipe_hash(other) == recipe_hash(recipe));
  CHECK(recipe_differences(recipe, other).empty());
  other.train.lr = 0.2;
  CHECK(recipe_hash(other) != recipe_hash(recipe));
  CHECK(recipe_differences(recipe, other) ==
        std::vector<std::string>{"train.lr: 0.1 there, 0.2 here"});
}

TEST_CASE("keys that contradict each other are refused, naming them") {
  Recipe c;
  c.distill.method = "apprentice";
  c.model.init = "start";
  c.teacher.weights = "teacher";
  REQUIRE_NOTHROW(check_recipe(c));

  const auto refused = [](Recipe recipe, const char* part) {
    return throws<ConfigError>([&] { check_recipe(recipe); }, part);
  };
  Recipe r = c;
  r.distill.method = "aprentice";
  CHECK(refused(r, "did you mean 'apprentice'") == "");
  r = c, r.model.init = "";
  CHECK(refused(r, "set model.init") == "");
  r = c, r.teacher.weights = "";
  CHECK(refused(r, "teacher.weights or teacher.logits") == "");
  r = c, r.distill.scheme = "B";
  CHECK(refused(r, "model.init is \"start\"") == "");
  r = c, r.distill.scheme = "A", r.model.init = "";
  CHECK(refused(r, "set teacher.arch") == "");
  r = c, r.distill.beta = r.distill.gamma = 0;
  CHECK(refused(r, "distill.beta is 0") == "");
  r = c, r.distill.beta = 0, r.distill.control = true;
  CHECK(refused(r, "control run") == "");
  r = c, r.distill.method = "none", r.distill.control = true;
  CHECK(refused(r, "distill.control") == "");
  r = c, r.train.schedule = "cosin";
  CHECK(refused(r, "did you mean 'cosine'") == "");
  r = c, r.quant.weights = "twm";
  CHECK(refused(r, "did you mean 'twn'") == "");
  r = c, r.quant.weights = "twn", r.quant.w_bits = 5;
  CHECK(refused(r, "w_bits") == "");
}

TEST_CASE("every recipe that comes with the program is valid") {
  int found = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(APPRENTICE_SOURCE_DIR "/tools/recipes")) {
    CAPTURE(entry.path().string());
    REQUIRE_NOTHROW(check_recipe(load_recipe(entry.path().string())));
    ++found;
  }
  CHECK(found >= 7);
}
