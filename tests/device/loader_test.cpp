#include <catch2/catch.hpp>

#include <apprentice/base/graph.h>
#include <apprentice/base/stream.h>
#include <apprentice/data/find.h>
#include <apprentice/data/loader.h>
#include <apprentice/data/resident_set.h>
#include <device/test_device.h>

using namespace apprentice;

namespace {

bool equal(const data::Batch& a, const data::Batch& b) {
  return a.ids == b.ids && a.epoch == b.epoch && a.index == b.index &&
         a.labels.to_vector<int64_t>() == b.labels.to_vector<int64_t>() &&
         a.x.to_vector<float>() == b.x.to_vector<float>();
}

}  // namespace

TEST_CASE("a set that lies on a device gives the batches of the CPU, bit for bit") {
  const Device device = test_device();
  const auto set =
      std::make_shared<const data::ImageSet>(data::load_dataset("shapes10:21", "train"));
  data::LoaderOptions options{.batch = 8,
                              .shuffle = true,
                              .augmentation = data::augmentation(GENERATE("none", "shift_mirror")),
                              .seed = 0x123456789ab,
                              .workers = 2};
  data::Loader here(set, options);
  options.device = device;
  data::Loader there(set, options);
  for (int64_t epoch : {0, 5}) {
    here.start(epoch, 1);
    there.start(epoch, 1);
    while (const auto batch = there.next()) {
      CHECK(batch->x.device() == device);
      CHECK(equal(*batch, *here.next()));
      CHECK(there.cursor() == here.cursor());
    }
    CHECK(!here.next());
  }
}

TEST_CASE("a set on a device refuses samples that it does not hold") {
  const data::ResidentSet set(
      std::make_shared<const data::ImageSet>(data::load_dataset("shapes10:5", "train")),
      test_device());
  CHECK_THROWS_WITH(set.make_batch({1, 5}), Catch::Contains("got sample 5, expected 0 to 4"));
  CHECK(set.make_batch({4}).labels.item() == 4);
}

TEST_CASE("batches of a set on a device may be made in any stream, and outlive the set") {
  const Device device = test_device();
  const auto set =
      std::make_shared<const data::ImageSet>(data::load_dataset("shapes10:9", "train"));
  const OwnedStream other(device);
  auto resident = std::make_unique<data::ResidentSet>(set, device);
  data::Batch batch;
  {
    const StreamGuard guard(other.get());
    batch = resident->make_batch({3, 8, 1}, data::augmentation("shift_mirror"), 5, 2);
    resident.reset();
    synchronize(other.get());
  }
  CHECK(equal(batch, data::make_batch(*set, {3, 8, 1}, data::augmentation("shift_mirror"), 5, 2)));
}

TEST_CASE("the making of a batch is recorded once, and launches make whatever draft lies there") {
  const Device device = test_device();
  const auto set =
      std::make_shared<const data::ImageSet>(data::load_dataset("shapes10:18", "train"));
  data::LoaderOptions options{.batch = 6,
                              .shuffle = true,
                              .augmentation = data::augmentation("shift_mirror"),
                              .seed = 9,
                              .device = device,
                              .resident = GENERATE(true, false)};
  data::Loader loader(set, options), expected(set, options);
  loader.start(4);
  data::Draft draft = loader.next_draft()->clone();
  data::Batch batch;
  const Graph graph(device, [&] { batch = loader.make(draft); });
  loader.start(7);
  expected.start(7);
  while (const auto next = loader.next_draft()) {
    draft.copy_from(*next);
    graph.launch(current_stream(device));
    batch.ids = next->ids;
    batch.epoch = next->epoch;
    batch.index = next->index;
    CHECK(equal(batch, *expected.next()));
  }
}
