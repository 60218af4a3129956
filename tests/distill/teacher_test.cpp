#include <catch2/catch.hpp>

#include <apprentice/data/loader.h>
#include <apprentice/distill/teacher.h>

#include "distill/tiny.h"
#include "support/temp_folder.h"
#include "support/throws.h"

using namespace apprentice;
using namespace apprentice::distill;
using namespace apprentice::test;

namespace {

LogitsKey key_of(const nn::Module& teacher) {
  return {.teacher = state_hash(teacher),
          .data = "colours",
          .augment = "shift_mirror",
          .seed = 3,
          .images = 50,
          .epochs = 2,
          .classes = 10};
}

data::Loader make_loader() {
  data::LoaderOptions options;
  options.batch = 16;
  options.shuffle = true;
  options.augmentation = data::augmentation("shift_mirror");
  options.seed = 3;
  return data::Loader(colours("train", 50), options);
}

}  // namespace

TEST_CASE("stored logits are those of the online teacher, bit for bit") {
  const TempFolder folder;
  const auto network = narrow()("resnet8", 10, 5);
  OnlineTeacher online(network);
  const LogitsKey key = key_of(*network);
  data::Loader loader = make_loader();
  {
    LogitsWriter writer(folder / "logits", key);
    for (int64_t epoch = 0; epoch < 2; ++epoch) {
      loader.start(epoch);
      while (const auto batch = loader.next())
        writer.add(*batch, epoch, online.logits(*batch, epoch));
    }
    writer.close();
  }
  StoredTeacher stored(folder / "logits", key);
  Tensor first, second;
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    loader.start(epoch);
    while (const auto batch = loader.next()) {
      const Tensor logits = stored.logits(*batch, epoch);
      REQUIRE(same_bits(logits, online.logits(*batch, epoch)));
      CHECK_FALSE(logits.requires_grad());
    }
  }
  // The epochs differ, since the pictures are augmented anew.
  const data::Batch probe = colours_batch(4);
  CHECK_FALSE(same_bits(stored.logits(probe, 0), stored.logits(probe, 1)));
  CHECK(throws<Error>([&] { stored.logits(probe, 2); }, "2 epochs") == "");
}

TEST_CASE("stored logits of another run are refused, naming what differs") {
  const TempFolder folder;
  const OneLayer network(1);
  LogitsKey key = key_of(network);
  key.images = 4, key.epochs = 1;
  LogitsWriter writer(folder / "logits", key);
  CHECK(throws<Error>([&] { writer.close(); }, "sample 0 of epoch 0") == "");
  const data::Batch batch = colours_batch(4);
  CHECK(throws<Error>([&] { writer.add(batch, 1, Tensor::zeros({4, 10})); }, "epoch is 1") == "");
  CHECK(throws<ShapeError>([&] { writer.add(batch, 0, Tensor::zeros({4, 9})); }, "[4, 9]") == "");
  writer.add(batch, 0, Tensor::zeros({4, 10}));
  writer.close();
  REQUIRE_NOTHROW(StoredTeacher(folder / "logits", key));

  const auto refused = [&](LogitsKey other, const char* part) {
    return throws<ConfigError>([&] { StoredTeacher(folder / "logits", other); }, part);
  };
  LogitsKey other = key;
  other.seed = 4;
  CHECK(refused(other, "seed is '3' there, '4' here") == "");
  other = key, other.augment = "none";
  CHECK(refused(other, "augment") == "");
  other = key, other.epochs = 2;
  CHECK(refused(other, "epochs") == "");
  other = key, other.teacher = "x";
  CHECK(refused(other, "teacher") == "");
  other = key, other.teacher = "";
  CHECK_NOTHROW(StoredTeacher(folder / "logits", other));
}
