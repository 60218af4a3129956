#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <cuda/on_device.h>
#include <apprentice/kernels/cuda/non_finite.cuh>

namespace apprentice {
namespace {

using testing::Both;

/// So many tensors lie one after the other, from `first` on, each with some bad numbers.
struct BadNumbers {
  std::vector<int64_t> sizes, begins;
  std::vector<float> values;

  BadNumbers(const std::vector<int64_t>& sizes_, int64_t first) : sizes(sizes_) {
    int64_t at = first;
    for (const int64_t size : sizes) begins.push_back(at), at += size;
    values = testing::random_integers<float>(static_cast<size_t>(at), -99, 99, 5);
    for (size_t i = 0; i < values.size(); i += 97)
      values[i] =
          i % 2 ? std::numeric_limits<float>::infinity() : std::numeric_limits<float>::quiet_NaN();
    values.back() = -std::numeric_limits<float>::infinity();
  }
  std::vector<View1<const float>> views(const float* data) const {
    std::vector<View1<const float>> all;
    for (size_t i = 0; i < sizes.size(); ++i) all.push_back({data + begins[i], {sizes[i]}});
    return all;
  }
};

}  // namespace

KERNEL_TEST_CASE("what is not finite is counted for each of many tensors, as on the CPU") {
  constexpr int64_t kChunk = kernels::SIMT_NS::kListChunk;
  const int64_t first = GENERATE(0, 1);  // aligned, and not
  std::vector<int64_t> sizes{1, kChunk - 1, kChunk, 0, kChunk + 1, 3 * kChunk + 2};
  sizes.resize(200, 3);  // more than one launch of the emulator's takes
  const BadNumbers bad(sizes, first);
  Both<float> values(bad.values);
  const std::array<int64_t, 1> n{static_cast<int64_t>(sizes.size())}, one{1};
  Both<int64_t> counts(std::vector<int64_t>(sizes.size(), 2)), total({5});
  const std::array<int64_t, 1> all{static_cast<int64_t>(bad.values.size())};
  const auto here = bad.views(values.on_host(all).data);
  const auto there = bad.views(values.on_device(all).data);
  kernels::launch<kernels::NonFinite<float>>({here, counts.on_host(n), total.on_host(one)});
  CHECK(total.host[0] > 50);
  kernels::SIMT_NS::non_finite({there, counts.on_device(n), total.on_device(one)}, nullptr);
  CHECK(counts.got() == counts.host);
  CHECK(total.got() == total.host);
  kernels::SIMT_NS::non_finite({there, {}, {}}, nullptr);
  CHECK(total.got() == total.host);
}

}  // namespace apprentice
