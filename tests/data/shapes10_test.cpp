#include <omp.h>

#include <algorithm>
#include <set>
#include <span>

#include <catch2/catch.hpp>

#include <apprentice/data/find.h>

#include "support/throws.h"

using namespace apprentice;
using data::ImageSet;
using data::load_dataset;
using test::throws;

namespace {

/// FNV-1a, 64 bits.
uint64_t hash_of(std::span<const uint8_t> bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (const uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

}  // namespace

TEST_CASE("shapes10 has the same bytes on every machine and for any number of threads") {
  const int before = omp_get_max_threads();
  omp_set_num_threads(GENERATE(1, 3));
  const ImageSet set = load_dataset("shapes10:200", "train");
  omp_set_num_threads(before);
  CHECK(hash_of(set.pixels) == 0x02ea2430fe053931u);
}

TEST_CASE("shapes10 comes in the sizes asked for, a longer set begins with the shorter") {
  const ImageSet set = load_dataset("shapes10", "test");
  CHECK(set.count == 2000);
  CHECK((set.height == 32 && set.width == 32 && set.channels == 3));
  CHECK(set.pixels.size() == size_t(2000 * 3072));
  const ImageSet few = load_dataset("shapes10:30", "test");
  CHECK(few.count == 30);
  CHECK(std::equal(few.pixels.begin(), few.pixels.end(), set.pixels.begin()));
  const ImageSet limited = load_dataset("shapes10:30", "test", {.read = {.limit = 7}});
  CHECK(limited.count == 7);
  CHECK(limited.pixels.size() == size_t(7 * 3072));
  CHECK(limited.labels.size() == 7);
  CHECK(throws<ConfigError>([] { load_dataset("shapes10:50001", "train"); }, "50001", "50000") ==
        "");
}

TEST_CASE("shapes10 is balanced, shows no picture twice and none of the other split") {
  const ImageSet train = load_dataset("shapes10:500", "train");
  const ImageSet test = load_dataset("shapes10:500", "test");
  CHECK(train.classes.size() == 10);
  for (int64_t label = 0; label < 10; ++label) {
    CHECK(std::count(train.labels.begin(), train.labels.end(), label) == 50);
  }
  std::set<uint64_t> images;
  for (int64_t i = 0; i < 500; ++i) {
    images.insert(hash_of(train.image(i)));
    images.insert(hash_of(test.image(i)));
  }
  CHECK(images.size() == 1000);
}
