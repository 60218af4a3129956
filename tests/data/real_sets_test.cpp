#include <catch2/catch.hpp>

#include <apprentice/base/safetensors.h>
#include <apprentice/data/batch.h>
#include <apprentice/data/find.h>

#include "data/real_files.h"

using namespace apprentice;
using data::ImageSet;
using data::load_dataset;
using test::real_file;

TEST_CASE("the first 64 test images of CIFAR-10 are the golden pixels, bit for bit") {
  const std::string path = real_file("data/cifar10/test.tar.gz");
  const std::string golden = real_file("golden/resnet20_logits.safetensors");
  if (path.empty() || golden.empty()) return;
  const ImageSet set = load_dataset(path, "test", {.read = {.limit = 64}});
  const auto file = SafetensorsFile::open(golden);
  CHECK(set.pixels == file.get("pixels").values<uint8_t>());
  CHECK(set.labels == file.get("labels").values<int64_t>());
  CHECK(set.classes == std::vector<std::string>{"airplane", "automobile", "bird", "cat", "deer",
                                                "dog", "frog", "horse", "ship", "truck"});
}

TEST_CASE("the normalised golden pixels are the golden input to one rounding") {
  const std::string golden = real_file("golden/resnet20_logits.safetensors");
  if (golden.empty()) return;
  const auto file = SafetensorsFile::open(golden);
  ImageSet set;
  set.classes.resize(10);
  set.count = 64;
  set.height = set.width = 32;
  set.pixels = file.get("pixels").values<uint8_t>();
  set.labels = file.get("labels").values<int64_t>();
  std::vector<int64_t> ids(64);
  for (int64_t i = 0; i < 64; ++i) ids[size_t(i)] = i;
  const Tensor x = make_batch(set, ids).x;
  const auto input = file.get("input").values<float>();  // [64, 3, 32, 32]
  float worst = 0;
  for (size_t i = 0; i < input.size(); ++i) {
    const size_t n = i / 3072, c = i / 1024 % 3, p = i % 1024;
    worst = std::max(worst, std::abs(x.data<float>()[(n * 1024 + p) * 3 + c] - input[i]));
  }
  // Three roundings each of values below 1, 1 and 2.7: at most 2^-25 (1 + 1) / 0.224 + 2^-23,
  // twice.
  CHECK(worst <= 8e-7f);
}

TEST_CASE("the whole CIFAR-10 test set has 1,000 images of each class and no damaged one") {
  const std::string path = real_file("data/cifar10");
  if (path.empty()) return;
  const ImageSet set = load_dataset(path, "test");
  CHECK(set.count == 10000);
  CHECK(set.bad.count == 0);
  for (int64_t label = 0; label < 10; ++label) {
    CHECK(std::count(set.labels.begin(), set.labels.end(), label) == 1000);
  }
}

TEST_CASE("the records of the shortened CIFAR-10 batch begin as the original batch does") {
  const std::string path = real_file("data/cifar10/data_batch_1_first4000.bin");
  if (path.empty()) return;
  const ImageSet set = load_dataset(path, "test");
  CHECK(set.count == 4000);
  const std::vector<int64_t> first(set.labels.begin(), set.labels.begin() + 10);
  CHECK(first == std::vector<int64_t>{6, 9, 9, 4, 1, 1, 2, 7, 8, 3});
}

TEST_CASE("Tiny ImageNet's archives load with their grey images expanded") {
  const std::string path = real_file("data/tiny_imagenet_10");
  if (path.empty()) return;
  const ImageSet set = load_dataset(path, "test");
  CHECK((set.count == 500 && set.height == 64 && set.width == 64));
  CHECK(set.bad.count == 0);
}
