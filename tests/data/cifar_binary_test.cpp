#include <numeric>

#include <catch2/catch.hpp>

#include <apprentice/data/find.h>

#include "data/make_images.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::test;
using data::ImageSet;
using data::load_dataset;

namespace {

/// Records with the given labels; byte p of plane c of record i is 7 i + 50 c + p (mod 256).
Bytes records(const std::vector<int>& labels) {
  Bytes bytes;
  for (size_t i = 0; i < labels.size(); ++i) {
    bytes.push_back(uint8_t(labels[i]));
    for (size_t c = 0; c < 3; ++c) {
      for (size_t p = 0; p < 1024; ++p) bytes.push_back(uint8_t(7 * i + 50 * c + p));
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("a CIFAR-10 binary file of any length turns its planes into pixels") {
  const TempFolder folder;
  write_bytes(folder / "some.bin", records({3, 9, 0}));
  const ImageSet set = load_dataset(folder / "some.bin", "test");
  CHECK(set.count == 3);
  CHECK((set.height == 32 && set.width == 32 && set.channels == 3));
  CHECK(set.labels == std::vector<int64_t>{3, 9, 0});
  CHECK(set.classes.size() == 10);
  CHECK(set.classes[9] == "truck");
  bool right = set.pixels.size() == 3 * 3072;
  for (size_t i = 0; right && i < set.pixels.size(); ++i) {
    right = set.pixels[i] == uint8_t(7 * (i / 3072) + 50 * (i % 3) + i % 3072 / 3);
  }
  CHECK(right);
}

TEST_CASE("a folder of CIFAR-10 batches is read in the order of their numbers, copies left out") {
  const TempFolder folder;
  const std::string inner = GENERATE("", "cifar-10-batches-bin/");
  write_bytes(folder / inner + "data_batch_2.bin", records({2, 2}));
  write_bytes(folder / inner + "data_batch_10.bin", records({5}));
  write_bytes(folder / inner + "data_batch_1.bin", records({1, 7}));
  write_bytes(folder / inner + "data_batch_1_first4000.bin", records({8}));
  write_bytes(folder / inner + "data_batch_1a.bin", records({8}));
  write_bytes(folder / inner + "test_batch.bin", records({6}));
  const ImageSet train = load_dataset(folder.path(), "train");
  CHECK(train.labels == std::vector<int64_t>{1, 7, 2, 2, 5});
  CHECK(train.pixels.size() == size_t(5 * 3072));
  CHECK(train.image(2)[0] == 0);
  CHECK(train.image(3)[0] == 7);
  CHECK(load_dataset(folder.path(), "test").labels == std::vector<int64_t>{6});
  const ImageSet three = load_dataset(folder.path(), "train", {.read = {.limit = 3}});
  CHECK(three.labels == std::vector<int64_t>{1, 7, 2});
  CHECK(three.count == 3);
}

TEST_CASE("a CIFAR-10 binary file of another length or with a label above 9 is damaged") {
  const TempFolder folder;
  const std::string path = folder / "bad.bin";
  const auto load = [&] { load_dataset(path, "train"); };
  Bytes bytes = records({1, 2});
  bytes.pop_back();
  write_bytes(path, bytes);
  CHECK(throws<DamagedFile>(load, path, "6145 bytes", "3073") == "");
  write_bytes(path, {});
  CHECK(throws<DamagedFile>(load, path, "0 bytes") == "");
  write_bytes(path, records({1, 10}));
  CHECK(throws<DamagedFile>(load, path, "record 1 has label 10") == "");
}
