#include <cstdlib>
#include <filesystem>

#include <catch2/catch.hpp>

#include <apprentice/data/find.h>

#include "data/make_images.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::find_model;
using data::FindOptions;
using data::load_dataset;

namespace {

/// The environment variable APPRENTICE_DATA for one test.
class DataVariable {
 public:
  explicit DataVariable(const std::string& value) {
    const char* before = std::getenv("APPRENTICE_DATA");
    was_set_ = before != nullptr;
    if (was_set_) before_ = before;
    ::setenv("APPRENTICE_DATA", value.c_str(), 1);
  }
  ~DataVariable() {
    was_set_ ? ::setenv("APPRENTICE_DATA", before_.c_str(), 1) : ::unsetenv("APPRENTICE_DATA");
  }

 private:
  bool was_set_;
  std::string before_;
};

FindOptions at(const std::string& root) { return {.data_roots = {root}, .download = false}; }

void put(const std::string& path, int count) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_tar(path, class_members(count));
}

}  // namespace

TEST_CASE("a data set is sought in data/NAME before NAME, root by root, then by APPRENTICE_DATA") {
  const TempFolder first, second, third;
  const DataVariable variable(third.path());
  const FindOptions options{.data_roots = {first.path(), second.path()}, .download = false};
  const auto count = [&] { return load_dataset("pets_x", "train", options).count; };
  put(third / "pets_x/train.tar", 3);
  CHECK(count() == 3);
  put(second / "pets_x/train.tar.gz", 4);
  CHECK(count() == 4);
  put(second / "data/pets_x/train.tar", 5);
  CHECK(count() == 5);
  put(first / "pets_x.tar.zst", 6);
  CHECK(count() == 6);
  put(first / "data/pets_x/train.tar", 7);
  CHECK(count() == 7);
}

TEST_CASE("the test split is found under its other names, and a split that is missing is said") {
  const TempFolder root;
  put(root / "pets_x/" + GENERATE("test.tar", "val.tar.gz", "validation.tar.zst"), 4);
  CHECK(load_dataset("pets_x", "test", at(root.path())).count == 4);
  const auto train = [&] { load_dataset("pets_x", "train", at(root.path())); };
  CHECK(throws<MissingInput>(train, "pets_x", root / "pets_x is there but holds no 'train'") == "");
  const auto by_path = [&] { load_dataset(root / "pets_x", "train"); };
  CHECK(throws<MissingInput>(by_path, root / "pets_x", "no 'train'") == "");
  const auto dev = [&] { load_dataset("pets_x", "dev", at(root.path())); };
  CHECK(throws<ConfigError>(dev, "dev", "train or test") == "");
}

TEST_CASE("an archive stands before binary batches in the same folder") {
  const TempFolder root;
  put(root / "pets_x/train.tar", 4);
  write_bytes(root / "pets_x/data_batch_1.bin", Bytes(3073, 0));
  CHECK(load_dataset("pets_x", "train", at(root.path())).width == 16);
}

TEST_CASE("a missing data set is an error that says where it was sought and what to put where") {
  const TempFolder root;
  const auto unknown = [&] { load_dataset("cifar11", "train", at(root.path())); };
  CHECK(throws<MissingInput>(unknown, "'cifar11'", "did you mean 'cifar10'",
                             root / "data/cifar11, " + (root / "cifar11"), "../shared/data/cifar11",
                             "Put into " + (root / "data/cifar11"), ".tar.gz") == "");
  const auto path = [&] { load_dataset(root / "nowhere.tar", "train"); };
  CHECK(throws<MissingInput>(path, root / "nowhere.tar", "no such file") == "");
  for (const std::string name : {"shapes10:x", "shapes10:", "shapes10:0", "shapes10:-3"}) {
    CHECK(throws<ConfigError>([&] { load_dataset(name, "train"); }, name, "NAME:SIZE") == "");
  }
  const auto chosen = [&] { load_dataset("cifar10:50", "train"); };
  CHECK(throws<ConfigError>(chosen, "cifar10", "not chosen") == "");
}

TEST_CASE("a folder that the system cannot follow is an I/O error that names it") {
  const TempFolder root;
  std::filesystem::create_directories(root / "pets_x");
  std::filesystem::create_symlink("train.tar", root / "pets_x/train.tar");
  const auto load = [&] { load_dataset("pets_x", "train", at(root.path())); };
  CHECK(throws<IoError>(load, "pets_x", root / "pets_x/train.tar") == "");
}

TEST_CASE("a model is found by name in models and in the folders in it") {
  const TempFolder root;
  const std::vector<std::string> roots = {root.path()};
  const auto missing = [&] { find_model("resnet_x", roots); };
  CHECK(throws<MissingInput>(missing, "resnet_x", root / "models/*/resnet_x.safetensors") == "");
  write_bytes(root / "models/pets/resnet_x.safetensors", {});
  CHECK(find_model("resnet_x", roots) == root / "models/pets/resnet_x.safetensors");
  CHECK(find_model("resnet_x.safetensors", roots) == root / "models/pets/resnet_x.safetensors");
  write_bytes(root / "models/resnet_x.safetensors", {});
  CHECK(find_model("resnet_x", roots) == root / "models/resnet_x.safetensors");
  CHECK(find_model(root / "models/pets", roots) == root / "models/pets");
  CHECK(throws<MissingInput>([&] { find_model(root / "no.safetensors"); }, "no.safetensors") == "");
}
