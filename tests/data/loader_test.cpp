#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

#include <apprentice/data/find.h>
#include <apprentice/data/loader.h>

#include "support/fake_runtime.h"
#include "support/throws.h"

using namespace apprentice;
using data::Batch;
using data::Cursor;
using data::ImageSet;
using data::Loader;
using data::LoaderOptions;
using data::Sampler;
using test::throws;

namespace {

std::shared_ptr<const ImageSet> shapes() {
  static const auto set =
      std::make_shared<const ImageSet>(data::load_dataset("shapes10:50", "train"));
  return set;
}

LoaderOptions options(int workers) {
  return {.batch = 8,
          .shuffle = true,
          .augmentation = data::augmentation("shift_mirror"),
          .seed = 3,
          .workers = workers,
          .prefetch = 3};
}

std::vector<Batch> rest(Loader& loader) {
  std::vector<Batch> batches;
  while (auto batch = loader.next()) batches.push_back(std::move(*batch));
  return batches;
}

bool equal(const Batch& a, const Batch& b) {
  return a.ids == b.ids && a.epoch == b.epoch && a.index == b.index &&
         a.labels.to_vector<int64_t>() == b.labels.to_vector<int64_t>() &&
         a.x.to_vector<float>() == b.x.to_vector<float>();
}

bool equal(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Batch& x, const Batch& y) { return equal(x, y); });
}

}  // namespace

TEST_CASE("an epoch's order is a permutation that depends on seed and epoch alone") {
  const Sampler sampler(1000, {.shuffle = true, .seed = 4});
  std::vector<int64_t> order = sampler.order(2);
  CHECK(order == sampler.order(2));
  CHECK(order != sampler.order(3));
  CHECK(order != Sampler(1000, {.shuffle = true, .seed = 5}).order(2));
  // A permutation leaves about one of n where it is.
  int kept = 0;
  for (size_t i = 0; i < order.size(); ++i) kept += order[i] == int64_t(i);
  CHECK(kept < 10);
  std::sort(order.begin(), order.end());
  CHECK(order == Sampler(1000, {}).order(2));
  CHECK(order.front() == 0);
  CHECK(order.back() == 999);
}

TEST_CASE("batches cover the set, the last one shorter or left out") {
  const Sampler all(10, {.batch = 4}), full(10, {.batch = 4, .drop_last = true});
  CHECK(all.batches_per_epoch() == 3);
  CHECK(all.range(2) == std::pair<int64_t, int64_t>(8, 10));
  CHECK(full.batches_per_epoch() == 2);
  CHECK(full.range(1) == std::pair<int64_t, int64_t>(4, 8));
  CHECK(Sampler(0, {}).batches_per_epoch() == 0);
  CHECK(throws<ConfigError>([] { Sampler(10, {.batch = 0}); }, "batch is 0") == "");
}

TEST_CASE("batches are the same for any number of workers") {
  // Large enough batches that the consumer waits for workers in their midst.
  const auto set = std::make_shared<const ImageSet>(data::load_dataset("shapes10:1700", "train"));
  const auto larger = [](int workers) {
    LoaderOptions changed = options(workers);
    changed.batch = 256;
    return changed;
  };
  Loader inline_loader(set, larger(0));
  inline_loader.start(1);
  const auto expected = rest(inline_loader);
  REQUIRE(expected.size() == 7);
  CHECK(expected.back().size() == 1700 - 6 * 256);
  Loader loader(set, larger(GENERATE(1, 3)));
  loader.start(1);
  CHECK(equal(rest(loader), expected));
  CHECK(!loader.next());
  loader.start(2);
  const auto other = rest(loader);
  CHECK(other.size() == 7);
  CHECK(!equal(other, expected));
}

TEST_CASE("a loader that starts at a saved cursor goes on as the first would have") {
  const int workers = GENERATE(0, 2);
  Loader first(shapes(), options(workers));
  CHECK(!first.next());
  first.start(4);
  CHECK(first.cursor() == Cursor{4, 0});
  for (int i = 0; i < 3; ++i) first.next();
  const Cursor saved = first.cursor();
  CHECK(saved == Cursor{4, 3});
  Loader second(shapes(), options(workers));
  second.start(saved);
  CHECK(equal(rest(second), rest(first)));
  CHECK(first.cursor() == Cursor{5, 0});
  CHECK(throws<Error>([&] { first.start(0, 8); }, "batch 8", "0 to 7") == "");
}

TEST_CASE("batches made of drafts are those of next(), also when they are made late") {
  const int workers = GENERATE(0, 2);
  Loader drafts(shapes(), options(workers)), expected(shapes(), options(0));
  drafts.start(3, 2);
  expected.start(3, 2);
  std::vector<data::Draft> waiting;
  while (auto draft = drafts.next_draft()) waiting.push_back(std::move(*draft));
  CHECK(drafts.cursor() == Cursor{4, 0});
  std::vector<Batch> made;
  for (const data::Draft& draft : waiting) made.push_back(drafts.make(draft));
  CHECK(waiting.size() == 5);
  CHECK(waiting.back().size() == 2);
  CHECK(equal(made, rest(expected)));
}

TEST_CASE("a start in the midst of an epoch drops what was prepared") {
  Loader loader(shapes(), options(GENERATE(0, 2)));
  for (int64_t epoch = 0; epoch < 20; ++epoch) {
    loader.start(epoch, epoch % 7);
    const auto batch = loader.next();
    REQUIRE(batch);
    CHECK(batch->epoch == epoch);
    CHECK(batch->index == epoch % 7);
  }
}

TEST_CASE("an error in a worker reaches the consumer in its batch's turn") {
  auto broken = std::make_shared<ImageSet>(*shapes());
  broken->labels[20] = 12;
  Loader loader(broken, {.batch = 8, .workers = GENERATE(0, 2)});
  loader.start(0);
  CHECK(loader.next()->index == 0);
  CHECK(loader.next()->index == 1);
  CHECK(throws<Error>([&] { loader.next(); }, "sample 20 has label 12", "0 to 9") == "");
}

TEST_CASE("a loader can be dropped while its workers are busy") {
  for (int i = 0; i < 20; ++i) {
    Loader loader(shapes(), options(3));
    loader.start(i);
    if (i % 2 == 0) CHECK(loader.next()->epoch == i);
  }
}

TEST_CASE("a loader of a device gives the same batches there, without waiting for it") {
  const FakeDevices devices;
  LoaderOptions there = options(GENERATE(0, 2));
  there.device = devices.device;
  there.resident = false;
  Loader loader(shapes(), there), expected(shapes(), options(0));
  loader.start(1, 2);
  expected.start(1, 2);
  const auto batch = loader.next();
  REQUIRE(batch);
  CHECK(batch->x.device() == devices.device);
  CHECK(batch->labels.device() == devices.device);
  CHECK(devices.runtime->waiting(nullptr) > 0);
  CHECK(equal(*batch, *expected.next()));
  there.resident = true;
  devices.runtime->capacity = devices.runtime->used + 100000;
  CHECK(throws<DeviceError>([&] { Loader(shapes(), there); }, "takes 0.2 MB on emulated:0",
                            "the 0.1 MB that are free") == "");
  there.device.index = 1;
  CHECK(throws<DeviceError>([&] { Loader(shapes(), there); }, "emulated:1") == "");
}
