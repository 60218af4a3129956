#include <cuda/on_device.h>
#include <simt/kernel_test.h>

#include <apprentice/kernels/kernel_table.h>
#include <apprentice/kernels/cuda/count.cuh>

namespace apprentice {

KERNEL_TEST_CASE(
    "rows that are right are counted as on the CPU, the first of equal values deciding") {
  using testing::Both;
  // Classes around a warp, rows around the eight warps of the block; few values, so many are equal.
  const auto [rows, classes] = GENERATE(std::pair{1, 1}, std::pair{7, 10}, std::pair{8, 31},
                                        std::pair{9, 32}, std::pair{33, 33}, std::pair{0, 5});
  CAPTURE(rows, classes);
  const std::array<int64_t, 2> sizes{rows, classes};
  const std::array<int64_t, 1> labels{rows}, one{1};
  Both<float> logits(testing::random_integers<float>(size_t(rows * classes), -2, 2, 1));
  Both<int64_t> label(testing::random_integers<int64_t>(size_t(rows), 0, classes - 1, 2));
  Both<float> count({-1});
  kernels::launch<kernels::CountCorrect<float>>(
      {logits.on_host(sizes), label.on_host(labels), count.on_host(one)});
  kernels::SIMT_NS::count_correct(
      {logits.on_device(sizes), label.on_device(labels), count.on_device(one)}, nullptr);
  CHECK(count.got() == count.host);
}

KERNEL_TEST_CASE("codes on the edges of their range are counted as on the CPU, in every part") {
  using testing::Both;
  using Op = kernels::CountCodes<float>;
  // Around a sampled block, the blocks that are left out, and more blocks than parts.
  const int n = GENERATE(1, 63, 65, 1023, 1025, 1100, 9000);
  const int64_t parts = GENERATE(1, 3);
  CAPTURE(n, parts);
  Both<float> codes(testing::random_integers<float>(size_t(n), 0, 3, 1));
  Both<float> counts(std::vector<float>(size_t(parts), -1));
  const std::array<int64_t, 1> all{n}, each{parts};
  kernels::launch<Op>({codes.on_host(all), 0, 3, counts.on_host(each)});
  kernels::SIMT_NS::count_codes<float>({codes.on_device(all), 0, 3, counts.on_device(each)},
                                       nullptr);
  CHECK(counts.got() == counts.host);
  std::vector<Bf16> narrow;
  for (const float code : codes.host) narrow.push_back(Bf16(code));
  Both<Bf16> narrow_codes(narrow);
  Both<float> narrow_counts(std::vector<float>(size_t(parts), -1));
  kernels::SIMT_NS::count_codes<Bf16>(
      {narrow_codes.on_device(all), 0, 3, narrow_counts.on_device(each)}, nullptr);
  CHECK(narrow_counts.got() == counts.host);

  float sum = 0;
  for (const float count : counts.host) sum += count;
  int64_t expected = 0, seen = 0;
  for (int i = 0; i < n; ++i) {
    if (i / Op::kBlock % Op::kEvery != 0) continue;
    ++seen;
    expected += codes.host[size_t(i)] == 0 || codes.host[size_t(i)] == 3;
  }
  CHECK(sum == float(expected));
  CHECK(Op::sampled(n) == seen);
}

}  // namespace apprentice
