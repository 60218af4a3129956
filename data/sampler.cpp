#include <apprentice/data/sampler.h>

#include <algorithm>
#include <numeric>

#include <apprentice/base/error.h>
#include <apprentice/base/rng.h>

namespace apprentice::data {

Sampler::Sampler(int64_t count, Options options) : count_(count), options_(options) {
  check(count >= 0, "sampler: got {} samples", count);
  check<ConfigError>(options.batch > 0, "sampler: batch is {}, expected a positive number",
                     options.batch);
}

int64_t Sampler::batches_per_epoch() const {
  return (count_ + (options_.drop_last ? 0 : options_.batch - 1)) / options_.batch;
}

std::vector<int64_t> Sampler::order(int64_t epoch) const {
  std::vector<int64_t> ids(static_cast<size_t>(count_));
  std::iota(ids.begin(), ids.end(), 0);
  if (!options_.shuffle) return ids;
  Rng rng(options_.seed, RngPurpose::shuffle, uint32_t(epoch));
  for (int64_t i = count_ - 1; i > 0; --i) {
    std::swap(ids[size_t(i)], ids[rng.below(uint32_t(i + 1))]);
  }
  return ids;
}

std::pair<int64_t, int64_t> Sampler::range(int64_t index) const {
  const int64_t begin = index * options_.batch;
  return {begin, std::min(begin + options_.batch, count_)};
}

}  // namespace apprentice::data
